"""Which task a table's columns serve, and what is said where they serve none, several, or one by halves."""

from collections.abc import Sequence
from typing import Final

from pixelwise.data.layouts.listing import TARGET_COLUMNS
from pixelwise.data.layouts.table import Table
from pixelwise.data.layouts.tree import Tree
from pixelwise.data.names import show_path, some
from pixelwise.data.task_names import BOX_COLUMNS, TARGET_FORMS, TASK_NAMES, TaskName
from pixelwise.errors import DataError

_ADD_LABEL: Final = "Add a column 'label' with the class of each box; one name for all will do"
_FEWEST_EDGES: Final = 2  # a column "left" or "top" by itself may be anything


def served_task(tree: Tree, found: Sequence[Table], task: TaskName | None) -> TaskName:
    """Return the task that the columns serve: of two, of which one needs all the other needs, the one that needs more.

    Raises:
        DataError: columns are missing for ``task``, or for every task; they serve several, or hold parts of boxes, and
            no task is chosen; or two columns mean the same.

    """
    needs = {name: set(TARGET_FORMS[name].columns) for name in TASK_NAMES}
    columns = set.intersection(*(set(table.columns) for table in found))
    served = [name for name in TASK_NAMES if needs[name] <= columns]
    served = [name for name in served if not any(needs[name] < needs[other] for other in served)]
    if task is None:  # masks serve their classes first
        served = [name for name in served if not any(_is_another_aim(name, other) for other in served)]
    able = task is not None and needs[task] <= columns
    if task is None:
        _refuse_half_boxes(tree, found, served)
    if not served or (task is not None and not able and not set(TARGET_FORMS[task].also_from) & set(served)):
        raise _missing(tree, found, task, served)
    if task is None and len(served) > 1:
        raise DataError(
            f"{tree.root}: {_names(found)} has the columns of {' and of '.join(served)}",
            expected="one aim",
            do=f"Choose with {_choice(served)} (--task)",
        )
    chosen = task if task is not None and able else served[0]
    if task is not None and not able:
        chosen = next(name for name in TARGET_FORMS[task].also_from if name in served)
    _refuse_twins(tree, found, chosen)
    return chosen


def _is_another_aim(name: TaskName, other: TaskName) -> bool:
    """Whether a task is one that the columns of another serve as well, without any column of its own."""
    form = TARGET_FORMS[name]
    return other in form.also_from and form.columns == TARGET_FORMS[other].columns


def unused_columns(table: Table, task: TaskName) -> list[str]:
    """Return the header's cells that say nothing for a task, in their order, printable."""
    used = {table.columns[role] for role in _roles_of(task) if role in table.columns}
    return [show_path(cell) for place, cell in enumerate(table.header) if place not in used and cell]


def _roles_of(task: TaskName) -> tuple[str, ...]:
    return ("path", *TARGET_FORMS[task].columns, "split", "group")


def _refuse_twins(tree: Tree, found: Sequence[Table], task: TaskName) -> None:
    for table in found:
        for role in _roles_of(task):
            if role in table.twins:
                names = [show_path(table.header[place]) for place in table.twins[role]]
                raise DataError(
                    f"{tree.root}: {show_path(table.name)} has {len(names)} columns for '{role}': {some(names)}",
                    expected="one",
                    do="Remove or rename the others",
                )


def _refuse_half_boxes(tree: Tree, found: Sequence[Table], served: Sequence[TaskName]) -> None:
    """Refuse columns of boxes that no task would read, unless the user chooses a task that needs none."""
    for table in found:
        edges = [column for column in BOX_COLUMNS if column in table.columns]
        sides = _has_sides(table)
        whole = len(edges) == len(BOX_COLUMNS)
        if (whole and "label" in table.columns) or (len(edges) < _FEWEST_EDGES and not sides):
            continue
        other = f", or choose {_choice(served)} (--task) to do without boxes" if served else ""
        if sides and not whole:
            came, do = "boxes with width and height", "Write x_max = x + width and y_max = y + height, in pixels"
        elif whole:
            came, do = "boxes and no column 'label'", _ADD_LABEL
        else:
            lacking = [column for column in BOX_COLUMNS if column not in edges]
            came, do = f"{', '.join(edges)}, but no {', '.join(lacking)}", "Add what is missing of the boxes"
        raise DataError(
            f"{tree.root}: {show_path(table.name)} has {came}",
            expected=f"the columns {', '.join(TARGET_FORMS['localisation'].columns)}",
            do=do + other,
        )


def _has_sides(table: Table) -> bool:
    lowered = {cell.lower() for cell in table.header}
    begins = {"x", "y"} <= lowered or {"x_min", "y_min"} <= table.columns.keys()
    return begins and ({"width", "height"} <= lowered or {"w", "h"} <= lowered)


def _missing(tree: Tree, found: Sequence[Table], task: TaskName | None, served: Sequence[TaskName]) -> DataError:
    header = some([show_path(cell) for cell in found[0].header])
    came = f"{tree.root}: {_names(found)} has the columns {header}"
    if task is None:
        return DataError(
            came,
            expected=f"the columns path and {TARGET_COLUMNS}",
            do="Rename the column of classes to 'label', or that of masks to 'mask'",
        )
    form = TARGET_FORMS[task]
    columns = set.intersection(*(set(table.columns) for table in found))
    lacking = [column for column in form.columns if column not in columns]
    wanted = f"a column '{lacking[0]}'" if len(lacking) == 1 else f"the columns {', '.join(lacking)}"
    do = f"Add it, or choose {_choice(served)} (--task), which the columns serve" if served else ""
    if task == "localisation" and lacking == ["label"]:
        do = _ADD_LABEL
    elif task == "localisation" and any(map(_has_sides, found)):
        do = "Write x_max = x + width and y_max = y + height, in pixels"
    return DataError(came, expected=f"{wanted} for {task}", do=do)


def _names(found: Sequence[Table]) -> str:
    return some([show_path(table.name) for table in found])


def _choice(tasks: Sequence[TaskName]) -> str:
    return " or ".join(f'task="{name}"' for name in tasks)
