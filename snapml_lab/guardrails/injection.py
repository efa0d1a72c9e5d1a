"""Prompt injection by its usual words, looked for among look-alikes and invisible characters, and once inside of Base64.

Patterns know what others have written; they do not know what an attacker means. Text that only talks about such words is
found, too: measure before you block.
"""

import base64
import binascii

from snapml_lab.guardrails.folding import fold, skeleton
from snapml_lab.guardrails.shapes import Shape

_S = r"[\s,.:;'\"*_-]{1,8}"
_PRIOR = r"(?:previous|prior|preceding|above|earlier|foregoing|existing|original|initial|former|system|your|safety)"
_ORDERS = r"(?:instructions?|prompts?|rules?|guidelines?|directions?|directives?|commands?|context|orders|constraints?|restrictions?|programming|training)"
_SMALL = r"(?:all|any|every|everything|of|the|these|those|my|our|your|and)"
_LEAST_BLOB = 24


def _shape(source: str, *needs: str) -> Shape:
    return Shape("injection", rf"\b{source}\b", 250, needs=needs, skeleton=True)


_WORDS = (
    _shape(
        rf"(?:ignore|ignoring|disregard|forget|override|overrule|bypass|discard|neglect|dismiss){_S}(?:{_SMALL}{_S}){{0,4}}{_PRIOR}{_S}(?:{_PRIOR}{_S}){{0,2}}(?:and{_S}{_PRIOR}{_S}){{0,1}}{_ORDERS}",
        "instruction", "prompt", "rule", "guideline", "direct", "command", "context", "orders", "constraint", "restriction",
        "programming", "training",
    ),
    _shape(rf"(?:ignore|disregard|forget|override){_S}(?:{_SMALL}{_S}){{0,3}}(?:instructions|guidelines|directives)", "instructions", "guidelines", "directives"),
    _shape(rf"(?:forget|ignore|disregard){_S}(?:everything|anything|all|what){_S}(?:that{_S}){{0,1}}(?:you{_S}(?:were|have{_S}been|know)|i{_S}(?:said|told)|(?:said|written|stated){_S}(?:above|before)|above|before)", "forget", "ignore", "disregard"),
    _shape(rf"(?:reveal|print|show|repeat|output|display|tell|give|disclose|leak|dump|recite){_S}(?:me{_S}|us{_S}){{0,1}}(?:{_SMALL}{_S}){{0,3}}(?:full{_S}|exact{_S}|entire{_S}|hidden{_S}|secret{_S}|initial{_S}|original{_S}){{0,3}}(?:system{_S}(?:prompt|message|instructions)|developer{_S}(?:message|prompt)|initial{_S}(?:prompt|instructions)|hidden{_S}(?:prompt|instructions)|your{_S}instructions)", "prompt", "message", "instructions"),
    _shape(rf"(?:what|which){_S}(?:is|are|was|were){_S}your{_S}(?:full{_S}|exact{_S}|original{_S}|initial{_S}){{0,2}}(?:system{_S}prompt|initial{_S}(?:prompt|instructions)|hidden{_S}(?:prompt|instructions))", "prompt", "instructions"),
    _shape(rf"you{_S}are{_S}(?:now{_S}|no{_S}longer{_S}){{1,2}}(?:a{_S}|an{_S}|in{_S}|bound{_S}|the{_S}){{0,2}}(?:dan|developer{_S}mode|unrestricted|unfiltered|jailbroken|free|evil|by|restricted|uncensored)", "you"),
    _shape(rf"(?:act|behave|respond|answer|pretend){_S}(?:as{_S}|like{_S}|to{_S}|that{_S}){{1,2}}(?:if{_S}){{0,1}}(?:you{_S}(?:have|had|are|were){_S}|be{_S}){{0,1}}(?:a{_S}|an{_S}){{0,1}}(?:no{_S}|without{_S}|not{_S}){{0,1}}(?:any{_S}|bound{_S}by{_S}){{0,2}}(?:dan|unrestricted|unfiltered|uncensored|jailbroken|rules|restrictions|guidelines|limitations|evil)", "dan", "unrestricted", "unfiltered", "uncensored", "jailbroken", "rules", "restrictions", "guidelines", "limitations", "evil"),
    _shape(rf"(?:enable|enter|activate|switch{_S}to|start){_S}(?:the{_S}){{0,1}}(?:developer|dan|jailbreak|god|debug|unrestricted|sudo|admin){_S}mode", "mode"),
    _shape(rf"do{_S}anything{_S}now", "anything"),
    _shape(rf"(?:new|updated|real|actual|following){_S}(?:system{_S}){{1,1}}(?:instructions?|prompt|rules)(?:[\s]{{0,4}}:){{0,1}}", "system"),
    _shape(rf"(?:do{_S}not|don{_S}t|never|without){_S}(?:tell|inform|mention|alert|notify|mentioning|telling|informing|notifying){_S}(?:this{_S}){{0,1}}(?:to{_S}){{0,1}}(?:the{_S}user|the{_S}human|anyone)", "user", "human", "anyone"),
    _shape(rf"(?:ignoriere|vergiss|missachte){_S}(?:alle{_S}|deine{_S}|die{_S}|bisherigen{_S}|vorherigen{_S}|obigen{_S}){{1,4}}(?:anweisungen|regeln|vorgaben|instruktionen)", "anweisungen", "regeln", "vorgaben", "instruktionen"),
    _shape(rf"(?:ignora|olvida|ignore|oublie|oubliez|ignorez|ignorar){_S}(?:todas{_S}|las{_S}|tus{_S}|toutes{_S}|les{_S}|vos{_S}|tes{_S}|todo{_S}|anteriores{_S}|precedentes{_S}){{1,4}}(?:instrucciones|instructions|reglas|regles|consignes|instrucoes)", "instrucciones", "instructions", "regl", "consignes", "instrucoes"),
    Shape("injection", r"<\|(?:im_start|im_end|system|endoftext|start_header_id|eot_id|begin_of_text)\|>", 24, needs=("<|",), skeleton=True),
    Shape("injection", r"(?:\[/?inst\]|<</?sys>>|\[/?system\]|</?system>)", 12, needs=("[", "<"), skeleton=True),
)  # fmt: skip


def _hidden(text: str, start: int, end: int) -> tuple[int, int] | None:
    """Decode a blob of Base64 once, and look for the words in what is text inside."""
    blob = text[start:end].rstrip("=").replace("-", "+").replace("_", "/")
    blob = blob[: len(blob) - (len(blob) % 4 == 1)]
    try:
        inside = base64.b64decode(blob + "=" * (-len(blob) % 4), validate=True).decode("utf-8", "ignore")
    except (binascii.Error, ValueError):
        return None
    said = skeleton(fold(inside).text)
    return (start, end) if any(shape.next(said, 0, len(said)) for shape in _WORDS) else None


_BLOB = Shape(
    "injection", rf"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{{{_LEAST_BLOB},1024}}={{0,2}}", 1030, check=_hidden
)

DETECTORS: dict[str, tuple[Shape, ...]] = {"injection": (*_WORDS, _BLOB)}
