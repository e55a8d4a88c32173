"""Programs that run inside the image, or while it is built; each is a file of its own that imports nothing of ours."""
