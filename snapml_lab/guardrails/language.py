"""Which language a text is in, as far as its script and its small words tell; else unknown.

A script that one language has tells that one (Unicode Standard Annex 24); among those that share one, the language whose most
frequent words make up the largest part of the text. Source: Grefenstette, "Comparing two language identification schemes"
(1995). It tells the fourteen of :data:`LANGUAGES`, from some six words on; it does not tell near relatives apart that are not
among them (Afrikaans reads as Dutch, Catalan as Spanish).
"""

import re
import unicodedata
from collections import Counter

_SMALL = {
    "en": "the of and to in is that it was for on are with as be this have from or by not but what all were when we there can an your which their if will do how about out up them then she he his her you i me my they has had would could should please",
    "de": "der die das und in zu den ist von nicht mit es sich auch auf für an er so dass ein eine einen dem des wie im hat oder aber ich sie wir nach bei wird sind noch um am war kann wenn nur einer bitte mir mein du haben",
    "fr": "le la les de des et en un une du est que qui dans pour pas sur au ce il sont plus par avec ne se je vous nous mais ou son sa ses aux cette être fait comme tout elle très bien s'il à été leur ont",
    "es": "el la los las de que y en un una por con para no es se lo su al del como más pero sus le ya o este sí porque esta entre cuando muy sin sobre también me hasta hay donde quien desde todo nos está yo",
    "it": "il la le di che e un una per non in sono con si da come ma lo del della dei delle anche io più questo alla ha nel gli è al su se mi ti ci molto quando essere perché cosa",
    "pt": "o a os as de que e do da em um uma para com não por mais dos se na no foi ao ele das tem à seu sua ou ser quando muito há nos já está eu também só pelo pela até isso ela entre você é",
    "nl": "de het een en van ik te dat die in is niet op zijn met voor er maar om ook als aan je nog hij wat of naar bij uit kan wel heb geen worden we ze dit deze mijn haar",
    "ru": "и в не на я что он с как это по но они к у ты из мы за вы так же от его все она бы для о был мне только её было есть или если",
    "uk": "і в не на я що він з як це та до але у ти ми за ви так від його всі вона для про був мені тільки є або якщо її щоб",
}  # fmt: skip
_SCRIPTS = {
    "HIRAGANA": "ja", "KATAKANA": "ja", "HANGUL": "ko", "CJK": "zh", "ARABIC": "ar", "HEBREW": "he", "GREEK": "el",
    "DEVANAGARI": "hi", "THAI": "th",
}  # fmt: skip
LANGUAGES = (*_SMALL, *sorted(set(_SCRIPTS.values())))
UNKNOWN = "unknown"
READ = 400
"""Characters that are read: the judgement is of the beginning of a text."""

_WORDS = {word: [] for words in _SMALL.values() for word in words.split()}  # type: dict[str, list[str]]
for _language, _words in _SMALL.items():
    for _word in dict.fromkeys(_words.split()):
        _WORDS[_word].append(_language)
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
_LEAST_SHARE = 0.15


def language_of(text: str) -> str:
    """Return a language's code (ISO 639-1), or ``unknown``."""
    text = text[:READ]
    scripts: Counter[str] = Counter()
    for character in text:
        if character.isalpha():
            name = unicodedata.name(character, "").partition(" ")[0]
            scripts[_SCRIPTS.get(name, name)] += 1
    if not scripts:
        return UNKNOWN
    if scripts["ja"] and scripts["ja"] + scripts["zh"] > scripts.total() / 2:
        return "ja"  # which writes Chinese characters, too
    top, count = scripts.most_common(1)[0]
    if top in _SCRIPTS.values():
        return top if count >= 2 else UNKNOWN
    return _by_words(_WORD.findall(text.lower()))


def _by_words(words: list[str]) -> str:
    """Tell by small words; one that several languages have counts for each in part."""
    counts: dict[str, float] = {}
    for word in words:
        for language in _WORDS.get(word, ()):
            counts[language] = counts.get(language, 0.0) + 1 / len(_WORDS[word])
    ranked = sorted(counts.items(), key=lambda item: -item[1])
    if not ranked or ranked[0][1] < 2 or ranked[0][1] < _LEAST_SHARE * len(words):
        return UNKNOWN
    if len(ranked) > 1 and ranked[1][1] >= 0.9 * ranked[0][1]:
        return UNKNOWN
    return ranked[0][0]
