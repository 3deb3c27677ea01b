"""The README's table of networks: one row a family."""

from pixelwise import catalogue
from pixelwise.specs import Spec

_SHOWN = 5


def family_table() -> str:
    """Return the table as Markdown; a test compares the README with it."""
    families: dict[str, list[Spec]] = {}
    for known in catalogue.names():
        spec = catalogue.spec(known)
        families.setdefault(spec.family, []).append(spec)
    lines = ["| family | paper | networks | parameters |", "|---|---|---|---|"]
    for family, specs in families.items():
        facts = [spec.facts for spec in specs if spec.facts]
        papers = list(dict.fromkeys(f"{fact.paper.title}, {fact.paper.year}" for fact in facts))
        listed = " ".join(f"`{spec.name}`" for spec in specs[:_SHOWN])
        more = f" and {len(specs) - _SHOWN} more" if len(specs) > _SHOWN else ""
        sizes = list(dict.fromkeys(_rounded(count) for count in sorted(fact.params for fact in facts)))
        extent = sizes[0] if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
        lines.append(f"| [{family}](docs/reference/networks.md#{family}) | {papers[0]} | {listed}{more} | {extent} |")
    return "\n".join(lines)


def _rounded(count: int) -> str:
    """Return 60.0 k, 25.6 M."""
    return f"{count / 1e6:.1f} M" if count >= 10**6 else f"{count / 1e3:.1f} k"
