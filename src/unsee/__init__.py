"""Which part of this picture made the classifier say so?"""

__version__ = "0.1.0"
