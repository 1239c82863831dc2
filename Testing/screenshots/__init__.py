"""The scenes of the pictures that ``make screenshots`` makes, one file a module.

A scene is a function of one argument, `load_module`, as in the tests. It finds an application with an empty scene and views,
sets up what is to be seen, and returns the panel to show beside the views. Its picture gets its name.
"""
