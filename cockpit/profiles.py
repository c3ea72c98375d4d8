"""The Slurm profiles of this home, by name: a recipe that names another one is refused before anything is queued.

What stands in a profile is the daemon's business; here the names are enough.
"""

from pathlib import Path

from engines.recipe.document import read_document
from engines.recipe.errors import RecipeError
from engines.recipe.expand import Plan
from engines.recipe.wording import nearest
from store import paths


def names_in(home: Path) -> list[str]:
    """The profiles in `config.yaml`. RecipeError where the file is no YAML."""
    path = paths.config(home)
    data = read_document(path).data if path.exists() else None
    section = data.get("slurm") if isinstance(data, dict) else None
    profiles = section.get("profiles") if isinstance(section, dict) else None
    return [str(name) for name in profiles] if isinstance(profiles, dict) else []


def check_profiles(plan: Plan, home: Path) -> None:
    """Refuses jobs for a profile that is not there. The file is read only where a job names one."""
    wanted = {job.name: profile for job in plan.jobs if (profile := job.recipe.resources.slurm) is not None}
    if not wanted:
        return
    known = names_in(home)
    for job, profile in wanted.items():
        if profile not in known:
            there = f"there are: {', '.join(known)}" if known else "there is none"
            hint = (
                nearest(profile, known) or f"profiles stand under `slurm: profiles:` in {paths.config(home)}"
            )
            raise RecipeError(
                f"{plan.file}: job `{job}`: resources.slurm: no profile `{profile}`; {there}", hint=hint
            )
