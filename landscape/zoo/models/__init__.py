"""The zoo's networks: one module for each family, every choice of it an argument."""

from __future__ import annotations

from landscape.zoo.models.cifar_resnet import ResidualBlock, ResidualNetwork, check_depth
from landscape.zoo.models.cnn import PADDINGS, POOLINGS, ConvolutionalNetwork
from landscape.zoo.models.densenet import DenseNet, check_dense_depth
from landscape.zoo.models.gpt import GPT
from landscape.zoo.models.layers import ACTIVATIONS, INITIALIZATIONS
from landscape.zoo.models.lstm import LanguageLSTM
from landscape.zoo.models.mlp import MultilayerPerceptron, ResidualPerceptron, SoftmaxRegression
from landscape.zoo.models.unet import EncoderDecoder, FullyConvolutional
from landscape.zoo.models.vgg import VGG9
from landscape.zoo.models.wide_resnet import WideResidualNetwork, check_wide_depth

__all__ = [
    "ACTIVATIONS",
    "GPT",
    "INITIALIZATIONS",
    "PADDINGS",
    "POOLINGS",
    "VGG9",
    "ConvolutionalNetwork",
    "DenseNet",
    "EncoderDecoder",
    "FullyConvolutional",
    "LanguageLSTM",
    "MultilayerPerceptron",
    "ResidualBlock",
    "ResidualNetwork",
    "ResidualPerceptron",
    "SoftmaxRegression",
    "WideResidualNetwork",
    "check_dense_depth",
    "check_depth",
    "check_wide_depth",
]
