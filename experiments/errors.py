"""The one exception for what a user can put right."""


class UserError(Exception):
    """One line that names the file, row or key and the way out; the command exits with code 2."""
