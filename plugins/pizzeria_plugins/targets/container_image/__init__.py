"""The container image of a release, as text and as a build context: for the target `container` and for others.

dockerfile      the Dockerfiles
materials       what the image is made of: lock, list of its packages (SBOM), programs that run inside
context         the folder that is built
inside/         programs of the standard library alone, which run in the image or while it is built
"""
