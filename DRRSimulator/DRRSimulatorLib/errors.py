"""The one exception for input that the user can mend."""


class InputError(ValueError):
    """Input that cannot be used; its message is one plain sentence that says what is wrong and what to do.

    The commands print the message and end with exit code 2; any other exception is a defect of ours.
    """
