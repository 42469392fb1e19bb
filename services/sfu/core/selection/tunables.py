"""All that tunes which layers a receiver gets."""

from typing import Final

# Between two selections for a receiver, while nothing makes one at once. Raising it follows the path later; lowering it
# costs work for each receiver.
LAYER_INTERVAL_S: Final = 0.25
# An estimate that falls below this share of what was allocated takes effect at once. Raising it selects anew for small
# falls; lowering it lets a queue grow until the next selection.
SUDDEN_DROP: Final = 0.9
# Between two looks at which layers nobody takes; one that is wanted is asked for at once. Raising it pauses them later;
# lowering it costs work for each video.
DEMAND_INTERVAL_S: Final = 0.5
# How long the list of the layers that there are holds. Raising it follows publishers later; lowering it costs work for
# each receiver.
CHOICES_LIFE_S: Final = 0.1

# A layer without packets for this long is not sent any more. Raising it leaves a frozen picture; lowering it makes a
# layer of a low frame rate come and go.
SILENT_LAYER_S: Final = 1.0
# What a layer is taken to need before it was measured, from the lowest. Raising these brings a layer late; lowering
# them overshoots at first.
NOMINAL_BPS: Final = (150_000.0, 500_000.0, 1_700_000.0)
# What audio is taken to need before it was measured. Raising it leaves less for video; lowering it overshoots at first.
NOMINAL_AUDIO_BPS: Final = 40_000.0
# A rate that is this many times another's is that of a higher layer. Raising it leaves layers of unknown names in the
# order of the offer; lowering it makes them change order with what the pictures show.
CLEAR_RATIO: Final = 1.4

# A better layer is taken only when this many times its rate is there. Raising it makes fewer switches; lowering it
# switches up sooner.
UPGRADE_MARGIN: Final = 1.15
# The same for a receiver that has just lost a layer that was too much. Raising it leaves a layer that would fit now
# untried; lowering it makes one that does not quite fit come and go, with a freeze each time.
CAUTIOUS_MARGIN: Final = 1.5
# A layer that is lost again within this time was too much. Raising it mistakes a fall of the rate for one; lowering it
# lets the layer come and go.
TRIAL_S: Final = 5.0
# How long the cautious margin holds after that. Raising it brings a better picture late; lowering it makes more
# freezes.
CAUTION_S: Final = 10.0
