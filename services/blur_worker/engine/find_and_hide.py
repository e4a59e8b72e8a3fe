"""Find, hide, and check: look at the result once more, and hide more strongly what can still be found in it."""

from dataclasses import fields, replace

from services.blur_worker.engine.decode import decode
from services.blur_worker.engine.finding.applied import apply_findings, is_left_out, strengthened
from services.blur_worker.engine.finding.find import DetectorSource, find_in
from services.blur_worker.engine.images import Blurred, HideableImage
from services.blur_worker.engine.limits import Limits
from services.blur_worker.engine.stage_timer import StageTimer
from services.common.domain.findings import Check, CheckState, Finding, Inspection
from services.common.domain.spec import BlurSpec

_MAX_STRENGTHENINGS = 3
"""Two steps lead from the weakest effect to a solid fill; one more is for what appears only after the first."""


class _ResolvedSpec(BlurSpec):
    """A spec whose findings are among its regions: there may be more of them than a caller may name."""

    def __post_init__(self) -> None:
        """Allow any number of regions."""


def find_and_hide(
    image: HideableImage, spec: BlurSpec, limits: Limits, detectors: DetectorSource | None, timer: StageTimer
) -> Blurred:
    """Hide the spec's regions and what it asks to find; check the result if there was something to find.

    Raises:
        DetectorMissing: A detector is not installed here.
        ImageError: See `blur`.
    """
    if not spec.find:
        return image.hide(spec)
    if detectors is None:
        raise ValueError("the spec asks to find something, but there are no detectors")
    found = find_in((frame.raster for frame in image.frames), spec.find, spec.effort, detectors)
    size = image.frames[0].raster.size
    found = apply_findings(found, spec, size)
    timer.lap("find")
    for strengthenings in range(_MAX_STRENGTHENINGS + 1):
        resolved = _resolve(spec, found)
        blurred = image.hide(resolved)
        if spec.invert_regions:
            check = Check()  # what was found is to be seen
            break
        # Where nothing is hidden, the result is the original, at which we have looked.
        remaining = _look_again(blurred.data, spec, limits, detectors, found) if resolved.regions else []
        state = CheckState.REMAINING if remaining else CheckState.CLEAN
        check = Check(state=state, remaining=tuple(remaining), strengthened=strengthenings > 0)
        timer.lap("check")
        stronger = strengthened(found, remaining, spec, size, last=strengthenings >= _MAX_STRENGTHENINGS - 1)
        if stronger == found or strengthenings == _MAX_STRENGTHENINGS:
            break
        found = stronger
    return replace(blurred, inspection=Inspection(findings=tuple(found), check=check), seconds=timer.seconds)


def _resolve(spec: BlurSpec, found: list[Finding]) -> BlurSpec:
    """Return the spec with regions for the findings that are applied, in the order of both."""
    values = {field.name: getattr(spec, field.name) for field in fields(spec)}
    regions = (*spec.regions, *(finding.region for finding in found if finding.applied))
    return _ResolvedSpec(**values | {"regions": regions})


def _look_again(
    data: bytes, spec: BlurSpec, limits: Limits, detectors: DetectorSource, found: list[Finding]
) -> list[Finding]:
    """Return what is in a result although it should be hidden."""
    decoded = decode(data, limits, None, keep_metadata=False)
    size = decoded.frames[0].raster.size
    again = find_in((frame.raster for frame in decoded.frames), spec.find, spec.effort, detectors)
    return [finding for finding in again if not is_left_out(finding, spec, found, size)]
