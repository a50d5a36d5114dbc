"""The gRPC edge: a servicer per service, the wrapper around every method, the error table. Only here is protobuf."""
