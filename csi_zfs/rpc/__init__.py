"""The CSI services over gRPC."""
