"""What a bundle and an image are made of, as CycloneDX 1.6.

packages    what a lock installs in one place, with hashes and licences
licences    from what packages say of themselves, to a table that ships beside the locks
model       a bundle as a component with a model card
bills       the two documents

The documents are plain data, as cyclonedx-python-lib knows no model card. Its schema checks them, in `pizzeria sbom`
and in the tests.
"""
