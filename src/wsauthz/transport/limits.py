"""The limits of the transports; see ARCHITECTURE.md for the list of all limits."""

from typing import Final

MOST_CONNECTIONS: Final = 1_000
"""At once; of one more the server hangs up. Each may make 1,000 calls at once."""

OPTIONS: Final = (
    ("grpc.max_receive_message_length", 1 << 20),
    ("grpc.max_metadata_size", 8 << 10),
    ("grpc.max_concurrent_streams", 1_000),
    ("grpc.so_reuseport", 0),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.server_handshake_timeout_ms", 10_000),
    ("grpc.max_allowed_incoming_connections", MOST_CONNECTIONS),
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
"""The same for pygrpc-native, without what it ignores: pings, handshakes, connections (docs/decisions/0015)."""
