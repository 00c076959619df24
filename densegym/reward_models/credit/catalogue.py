"""The credits that ship: name, where they are built, one line for listings."""

from __future__ import annotations

CREDITS = (
    ("uniform", "uniform:UniformCredit", "the whole return, spread evenly in hindsight; a control"),
    ("ircr", "ircr:IRCRCredit", "how good the whole episode was, from 0 to 1; a survival bonus"),
    ("rd", "rrd:RDCredit", "a network of one step, fitted to returns by least squares"),
    ("rrd", "rrd:RRDCredit", "a network of one step, fitted to returns on drawn steps"),
    ("lare", "lare:LaReCredit", "authored factors of a step, and a decoder fitted to returns"),
    ("spa", "sequence:SPACredit", "contributions that add up to the return, grounded in validity"),
    ("rudder", "sequence:RudderCredit", "differences of returns predicted from every prefix"),
    ("diaster", "sequence:DiasterCredit", "differences of sub-trajectory rewards, of one step"),
    ("oprl", "implicit:OPRLCredit", "log-ratio of policies, fitted to pairs of episodes"),
    ("prime", "implicit:PRIMECredit", "log-ratio of policies, fitted to success or failure"),
    ("information-gain", "gain:InformationGainCredit", "rises of the probability of success"),
    ("siop", "siop:SIOPCredit", "gains towards the answer given, by how many gave it"),
)
COMPOSITIONS = (
    ("pipeline", "pipeline:build_pipeline", "rewards in hindsight, refined and gated by outcome"),
    ("channels", "channels:build_channels", "ordered rewards, each only where higher ones are met"),
)
