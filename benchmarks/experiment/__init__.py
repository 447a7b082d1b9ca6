"""The experiment of `python -m benchmarks.catapult`: do cycles of the rate beat the best rate without cycles?"""
