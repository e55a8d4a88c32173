"""Signatures of bundles, by keys of elliptic curves, in the format of OpenSSF's model-signing.

keys        the PEM files of keys, and which of them are trusted
envelope    a signature as bytes: made, and read
shelf       where signatures lie
checking    whether a bundle is signed by a key that is trusted

`cryptography` alone does it: what serves needs 20 MB for it and no network code, where the package `model-signing`
brings the client of a public signing service along. That package checks what is signed here, and the other way round.
"""
