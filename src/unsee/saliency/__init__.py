"""Saliency methods to compare the learned mask with, one file each; `unsee.METHODS` lists them.

Each is called `(classifier, images, targets)` and gives maps (B,H,W). Images are (B,C,H,W) in [0,1], at the
network's input size; targets are a class for each, or a set of classes. Maps come at their own size: the
input's, or that of the layer that the method reads. High is salient.
"""
