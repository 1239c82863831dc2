"""The scenes of the pictures that ``make screenshots`` makes.

A scene is a generator function of one argument, `load_module`, as in the tests. It finds an application with an empty scene and
views, does what its user would do, and yields the names of its pictures, each with the panel to show beside the views.
"""
