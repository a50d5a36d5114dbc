"""Which transport: by its name."""

from importlib.util import find_spec
from typing import Final

import grpc

from wsauthz.model.errors import Unusable
from wsauthz.transport.grpcio import GrpcioServer

NATIVE: Final = "native"


class TransportMissing(Unusable):
    """The native transport is wanted where it is not installed."""

    def __init__(self) -> None:
        super().__init__("The native transport is not installed: pip install 'wsauthz[native]'")


def check_installed(transport: str) -> None:
    """Return if the transport can be used here.

    Raises:
        TransportMissing: it is not installed.

    """
    if transport == NATIVE and find_spec("pygrpc_native") is None:
        raise TransportMissing


def make_server(transport: str) -> grpc.aio.Server:
    """Return a server that carries calls by the transport; to be made on the loop that it is to run on."""
    if transport != NATIVE:
        return GrpcioServer()
    from wsauthz.transport.native import NativeServer  # noqa: PLC0415 - only where it is installed

    return NativeServer()
