"""Fuzzing of every reader of files: damaged and malicious files must be read, or refused with an `InputError`.

A reader has a small fixed corpus. Case n of a reader is one of its files, damaged by random numbers whose seed is the reader's name and n,
so every case can be made again. `make test` runs the first cases; many more are run by

    PYTHONPATH=Testing python -m fuzz --cases 100000 --record counts.json

and one is looked at again by `python -m fuzz --case 1234 READER`.
"""
