"""The labels of codes: zxing-cpp's symbologies in the interface's style of names."""

LABELS = {
    "Aztec": "AZTEC",
    "Codabar": "CODABAR",
    "Code128": "CODE_128",
    "Code39": "CODE_39",
    "Code93": "CODE_93",
    "DataBar": "DATA_BAR",
    "DataMatrix": "DATA_MATRIX",
    "DXFilmEdge": "DX_FILM_EDGE",
    "EAN13": "EAN_13",
    "EAN2": "EAN_2",
    "EAN5": "EAN_5",
    "EAN8": "EAN_8",
    "EANUPC": "EAN_UPC",
    "ITF": "ITF",
    "MaxiCode": "MAXI_CODE",
    "MicroPDF417": "MICRO_PDF_417",
    "MicroQRCode": "MICRO_QR_CODE",
    "PDF417": "PDF_417",
    "QRCode": "QR_CODE",
    "RMQRCode": "RMQR_CODE",
    "Telepen": "TELEPEN",
    "UPCA": "UPC_A",
    "UPCE": "UPC_E",
}
"""By the name of a format, or else of the symbology that it is a variant of."""

LINEAR = frozenset({
    "Codabar", "Code128", "Code39", "Code93", "DataBar", "DXFilmEdge", "EANUPC", "ITF", "Telepen",
})  # fmt: skip
"""Symbologies that are bars alone."""
STACKED = frozenset({"PDF417", "MicroPDF417"})
"""Symbologies of rows of bars."""


def label(format_name: str, symbology_name: str) -> str:
    """Return the label of a code."""
    return LABELS.get(format_name) or LABELS.get(symbology_name) or symbology_name.upper()
