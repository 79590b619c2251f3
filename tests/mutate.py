"""The mutation check: every number of every rule pack is changed, and a case must notice.

    python -m tests.mutate [--jurisdiction US]          (make mutate)

In:   config/rules/, tests/cases/<jurisdiction, lower>/RULE-ID.yaml.
Out:  one line a survivor on standard output: file, rule, field, the number and what it became; exit 1 if there is any.
Pure: no; reads files. Mutated packs live in memory only.

A rule's own file of cases is asked first, the others of its jurisdiction only where that notices nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from config.load import ConfigError
from config.rule_cases import read_case_files
from config.rule_files import RULES, rule_packs
from decisions.packs import HOUSE, Pack, Packs
from decisions.rule_answers import answers, differences
from decisions.rule_forms import DeadlineRule, HoldRule
from decisions.rule_mutations import Mutation, mutations
from decisions.rules import judge

CASES = Path(__file__).parent / "cases"
FILES_UNREADABLE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of the mutations of one rule.

    Attributes:
        tried: How many.
        survivors: Those that no case noticed.
        failing: Cases that fail without any mutation, and therefore notice nothing.
    """

    tried: int
    survivors: tuple[str, ...]
    failing: frozenset[str]


def unnoticed(packs: Packs, jurisdiction: str, rule_id: str, files: Sequence[Path]) -> Outcome:
    """Change every number of one rule, and ask the cases.

    Args:
        packs: All that are in force.
        jurisdiction: The pack's.
        rule_id: The rule.
        files: Case files of the jurisdiction.
    """
    pack = next(pack for pack in packs.packs if pack.jurisdiction == jurisdiction)
    moved = [mutation for mutation in mutations(pack) if mutation.rule == rule_id]
    own, others = [path for path in files if path.stem == rule_id], [path for path in files if path.stem != rule_id]
    left, failing = moved, frozenset[str]()
    for group in (own, others):
        if group and left:
            cases = _Cases(group, packs)
            failing |= cases.failing
            left = [mutation for mutation in left if not cases.notice(mutation)]
    return Outcome(tried=len(moved), survivors=tuple(map(str, left)), failing=failing)


class _Cases:
    """Cases that are judged together, in one frame, by the packs of their own places."""

    def __init__(self, files: Sequence[Path], packs: Packs) -> None:
        self._cases = read_case_files(files)
        attached = {HOUSE, *self._cases.facts.borrowers["jurisdictions"].explode().drop_nulls()}
        self._packs = packs.model_copy(update={"packs": tuple(pack for pack in packs.packs if pack.jurisdiction in attached)})
        self.failing = self._differing(self._packs)
        self._reasons = self._judged(self._packs)

    def notice(self, mutation: Mutation) -> bool:
        """Whether a case that holds fails under the mutation."""
        return self._notice_at_once(mutation) or not self._differing(self._swapped(mutation.pack)) <= self.failing

    def _notice_at_once(self, mutation: Mutation) -> bool:
        """Whether the mutated rule alone changes a verdict: the other rules said what they say before it was mutated.

        A hold's statutory end may move what another rule says, so that holds are judged with all the others.
        """
        rule = next(rule for rule in mutation.pack.rules if rule.id == mutation.rule)
        if isinstance(rule, HoldRule | DeadlineRule):
            return False
        alone = self._swapped(mutation.pack.model_copy(update={"rules": (rule,)}), others_silent=True)
        for case_id, expected, (blocked, asked), (blocks, asks) in zip(
            self._cases.ids, self._cases.expected, self._reasons, self._judged(alone), strict=True
        ):
            forbidding, asking = (blocked - {rule.id}) | blocks, (asked - {rule.id}) | asks
            verdict = "blocked" if forbidding else "review" if asking else "allowed"
            as_expected = expected.get("verdict") in {None, verdict} and set(expected.get("rules", ())) <= (forbidding or asking)
            if not as_expected and case_id not in self.failing:
                return True
        return False

    def _swapped(self, mutated: Pack, *, others_silent: bool = False) -> Packs:
        """The packs with one in another's place, the others without rules if wanted."""
        others = {"rules": ()} if others_silent else {}
        packs = (mutated if pack.jurisdiction == mutated.jurisdiction else pack.model_copy(update=others) for pack in self._packs.packs)
        return self._packs.model_copy(update={"packs": tuple(packs)})

    def _judged(self, packs: Packs) -> list[tuple[set[str], set[str]]]:
        """Of each case, the rules that forbid and those that ask."""
        judged = judge(self._cases.facts, self._cases.candidates, packs, when=False)
        return [(set(blocked), set(asked)) for blocked, asked in judged.select("blocked_by", "asked_by").iter_rows()]

    def _differing(self, packs: Packs) -> frozenset[str]:
        cases = self._cases
        told = answers(cases.ids, cases.facts, cases.candidates, packs)
        return frozenset(answer["id"] for answer, expected in zip(told, cases.expected, strict=True) if differences(answer, expected))


def _work(jurisdiction: str, rule_id: str, folder: Path, cases: Path) -> Outcome:
    """One rule in a process of its own."""
    return unnoticed(rule_packs(folder), jurisdiction, rule_id, case_files(jurisdiction, cases))


def case_files(jurisdiction: str, cases: Path = CASES) -> list[Path]:
    """Case files of a jurisdiction."""
    return sorted((cases / jurisdiction.lower()).glob("*.yaml"))


def mutate(packs: Sequence[Pack], *, folder: Path = RULES, cases: Path = CASES, console: Console) -> dict[str, Outcome]:
    """Try every rule of some packs on every core; returns an outcome a rule, in the packs' order."""
    asked = [(pack.jurisdiction, rule.id) for pack in packs for rule in pack.rules]
    found: dict[str, Outcome] = {}
    # Threads of the data frames would only be in each other's way: each process has a core.
    os.environ["POLARS_MAX_THREADS"] = "1"
    with (
        ProcessPoolExecutor(mp_context=get_context("spawn")) as pool,
        Progress(console=console, transient=True, disable=not console.is_terminal) as bar,
    ):
        task = bar.add_task("rules", total=len(asked))
        futures = {pool.submit(_work, jurisdiction, rule_id, folder, cases): rule_id for jurisdiction, rule_id in asked}
        for future in as_completed(futures):
            found[futures[future]] = future.result()
            bar.advance(task)
    return {rule_id: found[rule_id] for _, rule_id in asked}


def main(words: Sequence[str]) -> int:
    """The command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="make mutate", description="Change every number of every rule pack: a case must notice.")
    parser.add_argument("--jurisdiction", help="one pack only, such as US or house")
    parser.add_argument("--rules", type=Path, default=RULES, help="another folder of packs")
    parser.add_argument("--cases", type=Path, default=CASES, help="another folder of cases")
    asked = parser.parse_args(words)
    try:
        packs = rule_packs(asked.rules).packs
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return FILES_UNREADABLE
    chosen = [pack for pack in packs if asked.jurisdiction in {None, pack.jurisdiction}]
    if not chosen:
        sys.stderr.write(f"no pack for {asked.jurisdiction}; there are {', '.join(pack.jurisdiction for pack in packs)}\n")
        return FILES_UNREADABLE
    try:
        outcomes = mutate(chosen, folder=asked.rules, cases=asked.cases, console=Console(stderr=True))
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return FILES_UNREADABLE
    return told(chosen, outcomes)


def told(packs: Sequence[Pack], outcomes: dict[str, Outcome]) -> int:
    """Print what survived, and the sums; returns the exit code."""
    failing = sorted(frozenset[str]().union(*(outcome.failing for outcome in outcomes.values())))
    for name in failing:
        sys.stderr.write(f"fails as it is, and notices nothing: {name}\n")
    survivors = 0
    for pack in packs:
        found = [line for rule in pack.rules for line in outcomes[rule.id].survivors]
        survivors += len(found)
        sys.stdout.writelines(f"survived: {pack.jurisdiction.lower()}.yaml: {line}\n" for line in found)
        tried = sum(outcomes[rule.id].tried for rule in pack.rules)
        sys.stdout.write(f"{pack.jurisdiction}: {tried} numbers changed, {tried - len(found)} noticed, {len(found)} survived\n")
    return 1 if survivors or failing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
