"""csi-sanity, the conformance suite of the Kubernetes CSI project, against the driver."""
