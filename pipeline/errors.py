"""The one exception that is a user's doing rather than a defect."""


class UserError(Exception):
    """A mistake the user can mend: one line that names the thing, its value and the mend.

    Commands print it to stderr without a traceback and exit with a non-zero status, having written nothing.
    """
