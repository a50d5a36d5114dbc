"""The limits of the transports; see ARCHITECTURE.md for the list of all limits."""

from typing import Final

MOST_CONNECTIONS: Final = 1_000
"""At once; of one more the server hangs up. Each may make 1,000 calls at once."""

MOST_PENDING: Final = 5_000
"""Calls that have arrived and wait for Python: about a second's. Of more grpcio cancels some, of twice as many all,
even those to the health service. Its default is 1,000, fewer than ten times a peak's (docs/decisions/0019)."""

OPTIONS: Final = (
    ("grpc.max_receive_message_length", 1 << 20),
    ("grpc.max_metadata_size", 8 << 10),
    ("grpc.max_concurrent_streams", 1_000),
    ("grpc.so_reuseport", 0),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.server_handshake_timeout_ms", 10_000),
    ("grpc.max_allowed_incoming_connections", MOST_CONNECTIONS),
    ("grpc.server.max_pending_requests", MOST_PENDING),
    ("grpc.server.max_pending_requests_hard_limit", 2 * MOST_PENDING),
)
"""What grpcio is started with."""

NATIVE_OPTIONS: Final = (
    ("grpc.max_receive_message_length", 1 << 20),
    ("grpc.max_metadata_size", 8 << 10),
    ("grpc.absolute_max_metadata_size", 8 << 10),  # else 16 KiB: it has no range in which it refuses at random
    ("grpc.max_concurrent_streams", 1_000),
    ("grpc.so_reuseport", 0),
    ("grpc.keepalive_permit_without_calls", 1),
)
"""The same for pygrpc-native, without what it ignores: pings, handshakes, connections, waiting calls
(docs/decisions/0015)."""
