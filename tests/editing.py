"""Lists of a data set, changed row by row."""


def rows_of(file):
    """The lines of a list, to be changed and written back."""
    return file.read_text().splitlines()


def rewrite(file, rows):
    file.write_text("".join(f"{row}\n" for row in rows))


def replace_row(file, number, row):
    """Put another row in; rows are counted from 1, as an editor does."""
    rows = rows_of(file)
    rows[number - 1] = row
    rewrite(file, rows)
