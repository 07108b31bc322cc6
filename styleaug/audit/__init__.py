"""Label safety: which settings of ``StyleAugment`` keep which defects, on your own images."""

from styleaug.audit.report import AuditReport
from styleaug.audit.run import audit
from styleaug.audit.settings import AuditConfig

__all__ = ["AuditConfig", "AuditReport", "audit"]
