"""What carries the calls: grpcio, or pygrpc-native where it is installed and wanted. Both serve the same objects."""
