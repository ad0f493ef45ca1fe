"""What the zoo offers by name, and the paper and section each comes from; the numbers in a name may be others."""

from __future__ import annotations

__all__ = ["CATALOGUE"]

_LI, _HE = "Li et al. 2018, section 5", "He et al. 2016, section 4.2"
_GOODFELLOW = "Goodfellow, Vinyals and Saxe 2015, section 3"
_ANY_DEPTH = "any depth 6 n + 2"

# name, the network in words, where it comes from
CATALOGUE: tuple[tuple[str, str, str], ...] = (
    ("moons-softmax", "softmax regression", "Bishop 2006, section 4.3.4"),
    ("moons-mlp-2x16", "two hidden layers of 16 units", "after Rumelhart, Hinton and Williams 1986"),
    ("digits-softmax", "softmax regression, whose loss is convex", "Bishop 2006, section 4.3.4"),
    ("digits-mlp-3x64", "three hidden layers of 64 units (any number and width: digits-mlp-2x32 …)", f"after {_GOODFELLOW}"),
    ("digits-residual-8x32", "eight blocks h + σ(Wh) of 32 units (also -noshort)", "after He et al. 2016, section 3.1"),
    ("digits-cnn", "convolution, pooling, twice", "after LeCun et al. 1998, section II"),
    ("digits-resnet26", f"residual network of 26 layers ({_ANY_DEPTH})", f"after {_LI}"),
    ("digits-resnet26-noshort", f"residual network of 26 layers without its shortcuts ({_ANY_DEPTH})", f"after {_LI}"),
    ("digits-vgg9", "narrow VGG-9 (also -nobn)", "after Li et al. 2018, section 3.1"),
    ("digits-densenet22", "DenseNet-BC of 22 layers (any depth 6 n + 4)", "after Huang et al. 2017, section 3"),
    ("mnist-softmax", "softmax regression", "LeCun et al. 1998, section III.C"),
    ("mnist-mlp-2x100", "two hidden layers of 100 units", _GOODFELLOW),
    ("mnist-cnn", "convolution, pooling, twice", _GOODFELLOW),
    ("fashion-mlp-2x100", "two hidden layers of 100 units", "Xiao, Rasul and Vollgraf 2017"),
    ("fashion-cnn", "convolution, pooling, twice", "Xiao, Rasul and Vollgraf 2017"),
    ("resnet56", f"residual network of 56 layers ({_ANY_DEPTH}: resnet20, resnet110 …; also -nobn)", f"{_LI}; {_HE}"),
    ("resnet56-noshort", f"residual network of 56 layers without its shortcuts ({_ANY_DEPTH})", _LI),
    ("wrn28-10", "wide residual network, 28 layers, 10 times as wide", "Zagoruyko and Komodakis 2016, section 3"),
    ("vgg9", "VGG-9 with batch norm", "Li et al. 2018, section 3.1; Santurkar et al. 2018, section 2"),
    ("vgg9-nobn", "VGG-9 without batch norm", "Santurkar et al. 2018, section 2"),
    ("densenet100", "DenseNet-BC of 100 layers, growth 12 (any depth 6 n + 4)", "Huang et al. 2017, section 3"),
    ("cifar10-cnn", "convolution, pooling, twice", _GOODFELLOW),
    (
        "ptb-lstm-2x200",
        "two LSTM layers of 200 units, the small model (2x650 with dropout=0.5: medium)",
        "Zaremba et al. 2014, section 4.1",
    ),
    ("text-lstm-2x64", "two LSTM layers of 64 units", "after Zaremba et al. 2014, section 4.1"),
    ("ptb-gpt-4x128", "transformer of 4 blocks, 128 wide", "after Radford et al. 2019, section 2.3"),
    ("text-gpt-2x64", "transformer of 2 blocks, 64 wide", "after Radford et al. 2019, section 2.3"),
    ("cells-unet", "encoder-decoder with skips", "after Ronneberger, Fischer and Brox 2015, section 2"),
    ("cells-unet-noskip", "encoder-decoder without skips", "after Ronneberger, Fischer and Brox 2015, section 2"),
    ("cells-fcn", "fully convolutional network", "after Long, Shelhamer and Darrell 2015, section 3"),
    ("membranes-unet", "encoder-decoder with skips", "Ronneberger, Fischer and Brox 2015, section 2"),
    ("membranes-unet-noskip", "encoder-decoder without skips", "after Ronneberger, Fischer and Brox 2015, section 2"),
    ("membranes-fcn", "fully convolutional network", "Long, Shelhamer and Darrell 2015, section 3"),
)
