"""Damage to lists: their text, their rows and their labels."""

from __future__ import annotations

import codecs
import errno
import os

from tests.experiments.data.damage.bench import HUMAN, LISTS, TRAIN, VAL, VALUES, case


@case("list missing", "{}: no such file", "README", each=LISTS[:3])
def _(bench, file):
    (bench.folder / file).unlink()


@case("list empty or blank", "{}: the list is empty", "add at least one", each=[*LISTS, VAL])
def _(bench, file):
    (bench.folder / file).write_bytes(b"")


@case("list empty or blank", "{}: the list is empty", "add at least one", each=LISTS)
def _(bench, file):
    (bench.folder / file).write_bytes(codecs.BOM_UTF8 + b"\r\n \t\r\n")


@case("list empty or blank", "labels.csv: the list is empty", lists=False)
def _(bench):
    bench.values.write_bytes(b"")


@case("list with a header alone", f"{VALUES}: the list is empty")
@case("list with a header alone", "labels.csv: the list is empty", lists=False)
def _(bench):
    bench.values.write_text(f"filename{bench.separator}value\n")


@case("list is a folder", "{}: no file; put the list there", each=LISTS)
def _(bench, file):
    bench.replace(bench.folder / file).mkdir()


@case("list is a pipe", "{}: no file; put the list there", each=LISTS)
def _(bench, file):
    os.mkfifo(bench.replace(bench.folder / file))


@case("list not ours to read", "{}: cannot be read (Permission denied)", each=LISTS)
def _(bench, file):
    bench.deny("read_bytes", errno.EACCES, (bench.folder / file).__eq__)


@case("list without end", "{}: ", "bytes are more than the limit", "MAX_LIST_BYTES", each=LISTS)
def _(bench, file):
    with (bench.folder / file).open("ab") as handle:
        handle.truncate(2**40)  # one hole


_OPTIONAL = [VAL, "output/human2.txt"]


@case("optional list is a link to nowhere", "{}: no such file", each=_OPTIONAL)
def _(bench, file):
    bench.replace(bench.folder / file).symlink_to(bench.folder / "nowhere.txt")


@case("header missing in the published layout", f"{VALUES}, row 1", "put filename;value first")
def _(bench):
    bench.values.write_text(bench.values.read_text().partition("\n")[2])


@case("header missing in a .csv file", lists=False)
def _(bench):
    bench.values.write_text(bench.values.read_text().partition("\n")[2])


@case("UTF-16", f"{VALUES}, row 1", "save the list as UTF-8", each=["utf-16", "utf-16-be"])
def _(bench, encoding):
    bench.values.write_text(bench.values.read_text(), encoding=encoding)


@case("Latin-1", f"{VALUES}, row 5: is no UTF-8 text", "save the list as UTF-8")
def _(bench):
    bench.row("é.jpg;12", 5)
    bench.values.write_text(bench.values.read_text(), encoding="latin-1")


@case("zero bytes", f"{VALUES}, row 4: holds a zero byte", "save the list as UTF-8")
def _(bench):
    bench.label("1\0")


@case("zero bytes", "{}, row 1: holds a zero byte", each=LISTS)
def _(bench, file):
    (bench.folder / file).write_bytes(bytes(500))


@case("byte order mark")
@case("byte order mark", lists=False)
def _(bench):
    for file in [*bench.folder.rglob("*.txt"), *bench.folder.rglob("*.csv")]:
        file.write_bytes(codecs.BOM_UTF8 + file.read_bytes())


@case("line ends of Windows or old Macs", each=[b"\r\n", b"\r"])
@case("line ends of Windows or old Macs", each=[b"\r\n", b"\r"], lists=False)
def _(bench, end):
    for file in [*bench.folder.rglob("*.txt"), *bench.folder.rglob("*.csv")]:
        file.write_bytes(file.read_bytes().replace(b"\n", end))


@case("blank lines, and no line end at the end")
def _(bench):
    for file in bench.folder.rglob("*.txt"):
        file.write_text(file.read_text().replace("\n", "\n\n  \n").strip())


@case("rows in another order")
def _(bench):
    for file in (bench.folder / name for name in LISTS):
        rows = file.read_text().splitlines()
        header = [row for row in rows if row == "filename;value"]
        file.write_text("\n".join([*header, *reversed(rows[len(header) :])]))


# --- rows


@case("row without separator", f"{VALUES}, row 4: '3.jpg,12' is not filename;value; correct it")
def _(bench):
    bench.row("3.jpg,12")


@case("row without separator", "labels.csv, row 4: '3.jpg;12' is not filename,value", lists=False)
def _(bench):
    bench.row("3.jpg;12")


@case("row without separator", f"{HUMAN}, row 2: '12' is not filename;value")
def _(bench):
    bench.row("12", 2, HUMAN)


@case("row without separator", f"{VALUES}, row 4: 'xxx", "...", "x' is not filename;value")
def _(bench):
    bench.row("x" * 100_000)


@case("row without name", "row 4: ';12' is not filename;value")
@case("row without name", "row 4: ',12' is not filename,value", lists=False)
def _(bench):
    bench.row(f"{bench.separator}12")


@case("row without name", "labels.csv, row 1: '{}' is not", each=[",12", ",-"], lists=False)
def _(bench, row):
    bench.row(row, 1)  # where a header could stand


@case("row of three columns in a .csv file", "row 4: '3.jpg,12,sure' is not", lists=False)
def _(bench):
    bench.row("3.jpg,12,sure")


@case("open quote in a .csv file", "labels.csv, row 4: '3.jpg,\"12' is not", lists=False)
def _(bench):
    bench.row('3.jpg,"12')


@case("line end in a name", "labels.csv, row 4: '\"3' is not filename,value", lists=False)
def _(bench):
    bench.row('"3\n.jpg",12')


@case("words behind a name in a list")
def _(bench):
    bench.row("3.jpg\t" + "0 " * 1_000_000, 3, TRAIN)


@case("quoted fields in the published layout", each=[True, False])
def _(bench, header):
    for file in (bench.values, bench.folder / HUMAN):
        head, *rows = file.read_text().splitlines()
        cells = [row.split(";") for row in rows]
        text = "".join(f'"{name}";"{value}"\n' for name, value in cells)
        file.write_text(('"filename";"value"' if header else head) + f"\n{text}")
    listed = (bench.folder / TRAIN).read_text().splitlines()
    rows = (row.partition(" ") for row in listed)
    (bench.folder / TRAIN).write_text("".join(f'"{name}" {rest}\n' for name, _, rest in rows))


@case("sep=; of a spreadsheet before the header")
@case("sep=; of a spreadsheet before the header", lists=False)
def _(bench):
    bench.values.write_text(f"sep={bench.separator}\n{bench.values.read_text()}")


@case("spaces around name and value")
@case("spaces around name and value", lists=False)
def _(bench):
    header, *rows = bench.values.read_text().splitlines()
    parted = [row.partition(bench.separator) for row in rows]
    text = "".join(f"  {name} {mark} {value}\t\n" for name, mark, value in parted)
    bench.values.write_text(f"{header}\n{text}")


# --- labels


@case("label empty", f"{VALUES}, row 4: 3.jpg has an empty label; add its value")
@case("label empty", "labels.csv, row 4: 3.jpg has an empty label; add its value", lists=False)
def _(bench):
    bench.label("  ")


_OUTSIDE = [
    ("x", "x"),
    ("1,5", ","),
    ("12;", ";"),
    ("12\x0b3", "\\x0b"),
    ("\N{MINUS SIGN}5", "\N{MINUS SIGN}"),
]


@case(
    "label outside the charset",
    "row 4: 3.jpg has",
    "'{1}' is not in the charset",
    "or set charset",
    each=_OUTSIDE,
)
def _(bench, label, _):
    bench.label(label)


@case(
    "digits that are not ASCII",
    "row 4: 3.jpg",
    "'{0[0]}' is not in the charset",
    "type '{1}' (U+003{1} DIGIT",
    each=[("１２", "1"), ("٣", "3"), ("²", "2")],
)
def _(bench, label, _):
    bench.label(label)


_ALIKE = [
    ("\N{MINUS SIGN}5", "U+2212 MINUS SIGN, type '-' (U+002D HYPHEN-MINUS) instead"),
    ("\N{EN DASH}5", "U+2013 EN DASH, type '-' (U+002D"),
    ("1,5", "U+002C COMMA, type '.' (U+002E FULL STOP)"),
    ("1\N{FULLWIDTH FULL STOP}5", "U+FF0E FULLWIDTH FULL STOP, type '.'"),
    ("5\N{NO-BREAK SPACE}0", "it is U+00A0 NO-BREAK SPACE; correct"),
]


@case("character that looks like another one", "row 4: 3.jpg", "{1}", "set charset", each=_ALIKE)
def _(bench, label, _):
    bench.label(label)


@case(
    "character that looks like another one",
    "U+002D HYPHEN-MINUS, type '\N{MINUS SIGN}' (U+2212 MINUS SIGN) instead",
    settings=('charset="0123456789.\N{MINUS SIGN}"',),
)
def _(bench):
    for number in range(1, 19):
        bench.row(f"{number}.jpg;1", number + 1)
    bench.label("-5")


@case("label with inner spaces", "row 4: 3.jpg has the label '1 2', and ' ' is not in the charset")
def _(bench):
    bench.label("1 2")


@case("label of more than 1000 characters", "row 4: 3.jpg has a label of 1001 characters")
def _(bench):
    bench.label("1" * 1001)


_NARROW = ("image.width=16", "width_stride=8")


@case(
    "label that CTC cannot emit",
    "3.jpg: CTC needs 11",
    "'111111'",
    "lower width_stride",
    settings=_NARROW,
)
def _(bench):
    for number in range(1, 19):
        bench.row(f"{number}.jpg;1", number + 1)
    bench.label("111111")


@case(
    "label longer than max_length",
    "3.jpg: ",
    "'12345678901'",
    "max_length",
    settings=("loss=ce_stop",),
)
def _(bench):
    bench.label("12345678901")


@case("label in a charset of one's own", settings=('charset="0123456789.-/,% aé"',))
def _(bench):
    bench.label("1/2, 5% é")

    def check(found, _):
        assert "1/2, 5% é" in [row.label for row in found.rows if row.filename == "3.jpg"]

    return check
