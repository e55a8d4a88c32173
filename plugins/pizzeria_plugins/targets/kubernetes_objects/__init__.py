"""The Kubernetes objects of a deployment, as plain dictionaries, and the kustomize folders that hold them."""
