"""The machine as lines of text."""

from collections.abc import Iterator

from cockpit.cleanup import Sizes
from cockpit.figures import clock, size_text
from cockpit.glyphs import progress_bar
from cockpit.machine_facts import DaemonHealth, Load, MachineFacts
from cockpit.plain_text import plain_line
from cockpit.widgets.cells import Cell
from cockpit.widgets.lanes import lane_cells

Line = list[Cell]


def machine_lines(facts: MachineFacts, sizes: Sizes | None, width: int) -> list[Line]:
    """Everything, part by part; what a narrow screen has no room for is scrolled to."""
    lanes: list[Line] = [lane_cells(lane, number, width) for number, lane in enumerate(facts.lanes)]
    parts = [
        ("GPUs", lanes or [[("no cards are known", "muted")]]),
        ("Machine", list(_load(facts.load))),
        ("Home", list(_home(sizes))),
        ("Daemon", list(_daemon(facts.daemon))),
        ("Groups (S changes them)", list(_groups(facts))),
        ("Schedules (S changes them)", list(_schedules(facts))),
        ("Notifications", list(_notices(facts))),
    ]
    lines: list[Line] = []
    for title, part in parts:
        lines += [[(title, "accent")], *part, []]
    return lines[:-1]


def _load(load: Load) -> Iterator[Line]:
    yield _gauge(
        "CPU load", load.one / load.cores, f"{load.one} of {load.cores} cores, {load.fifteen} over 15 minutes"
    )
    used = f"{load.memory_used} of {load.memory} GiB"
    yield _gauge("memory", load.memory_used / load.memory if load.memory else 0.0, used)
    share = 1 - load.disk_free / load.disk if load.disk else 0.0
    yield _gauge("disk", share, f"{load.disk_free} of {load.disk} GiB are free")


def _gauge(name: str, share: float, words: str) -> Line:
    paint = "bad" if share > 0.95 else "attention" if share > 0.8 else "good"
    return [(f"  {name:<10}", ""), (f"│{progress_bar(share, 16)}│", paint), (f" {words}", "")]


def _home(sizes: Sizes | None) -> Iterator[Line]:
    if sizes is None:
        yield [("  being measured", "muted")]
        return
    yield [
        (
            f"  runs {size_text(sizes.runs)}, cache {size_text(sizes.cache)}, database {size_text(sizes.database)}",
            "",
        ),
    ]
    free = sum(plan.bytes for plan in sizes.plans)
    yield [(f"  P would free {size_text(free)}" if free else "  nothing to clean up", "muted")]
    for plan in sizes.plans:
        if plan.victims:
            yield [(f"    {plan.line}", "muted")]


def _daemon(daemon: DaemonHealth) -> Iterator[Line]:
    if not daemon.running:
        when = f"; the last one stopped at {clock(daemon.stopped_at)}" if daemon.stopped_at else ""
        crashed = daemon.pid is None and daemon.started_at is not None and daemon.stopped_at is None
        yield [(f"  ○ none is running: D starts it{when}", "attention")]
        if crashed:
            yield [("  the last one went without a word: killed, or the machine went down", "bad")]
    else:
        memory = f", {daemon.memory_mib} MiB" if daemon.memory_mib is not None else ""
        yield [
            (
                f"  ● pid {daemon.pid} since {clock(daemon.started_at)}{memory}, {daemon.cpu_slots} CPU slots",
                "good",
            )
        ]
    if daemon.complaints:
        lines = f"{daemon.complaints} line{'s' * (daemon.complaints != 1)}"
        yield [(f"  {lines} of trouble at the end of its log", "bad")]
    for line, is_trouble in daemon.log:
        yield [("  │ ", "muted"), (line, "bad" if is_trouble else "muted")]


def _groups(facts: MachineFacts) -> Iterator[Line]:
    if not facts.groups:
        yield [("  none", "muted")]
    for group in facts.groups:
        slots = "no limit" if group.slots is None else f"{group.slots} slots"
        state = "  paused" if group.paused else ""
        words = f"  {plain_line(group.name, 40)}: {group.running} running, {group.waiting} waiting, {slots}"
        yield [(words, ""), (state, "attention")]


def _schedules(facts: MachineFacts) -> Iterator[Line]:
    if not facts.schedules:
        yield [("  none", "muted")]
    for one in facts.schedules:
        when = "paused" if one.paused else f"next {clock(one.next_at)}" if one.next_at else "never again"
        yield [(f"  {one.id}  {plain_line(one.name, 60)}  {plain_line(one.cron, 40)}  {when}", "")]


def _notices(facts: MachineFacts) -> Iterator[Line]:
    if not facts.given_up:
        yield [(f"  {facts.waiting_notices} wait, none was given up", "muted")]
        return
    yield [(f"  {facts.waiting_notices} wait, given up: {len(facts.given_up)}", "bad")]
    for error in facts.given_up[-3:]:
        yield [(f"    {error}", "bad")]
