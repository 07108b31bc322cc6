"""Style networks for other runtimes, checked against PyTorch when they are made."""

from styleaug.export.folder import ExportConfig, Exported, export_pack

__all__ = ["ExportConfig", "Exported", "export_pack"]
