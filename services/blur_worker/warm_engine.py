"""Imported by the fork server that child processes start from: what is loaded here, all of them share."""

import gc
from importlib import import_module
from io import BytesIO

from PIL import Image

from services.blur_worker.engine import Limits, blur
from services.blur_worker.engine.compiling.progress import compiled_modules
from services.blur_worker.engine.finding.registry import Detectors
from services.common.domain.spec import BlurSpec, Gaussian, Pixelate, Region, Solid
from services.common.infra.process.library_pages import release_code


def _warm_up() -> None:
    """Blur small images, so that what is loaded or made when it is first needed is there before the first order."""
    image = Image.linear_gradient("L").resize((64, 48)).convert("RGB")
    region = Region("ellipse", 0.25, 0.25, 0.5, 0.5)
    for format_ in ("JPEG", "PNG", "WEBP"):
        file = BytesIO()
        image.save(file, format_)
        for spec in (BlurSpec(Gaussian()), BlurSpec(Solid(), (region,)), BlurSpec(Pixelate(), (region,))):
            blur(file.getvalue(), spec, Limits(max_pixels=image.width * image.height))


# Those of detectors, too, which are otherwise imported with the first image to be searched.
for _module in compiled_modules():
    import_module(_module)
_warm_up()
Detectors().models()
# The collector writes to the objects that it looks at, which would copy their memory for each child process.
gc.freeze()
gc.enable()
release_code()
