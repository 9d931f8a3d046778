"""The image of the driver, built from its Dockerfile without a container engine, and its checks."""
