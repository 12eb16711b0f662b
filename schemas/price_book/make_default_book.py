#!/usr/bin/env python3
"""Makes prices.csv and aliases.csv, the default price book, from a table of public list prices.

    ./make_default_book.py PATH/prices.csv

The table has the columns provider, model, effective_from, effective_until, currency, meter, per, price, tier_min_tokens,
source, service_tier, region, schedule, derived, source_ref and holds what four open price lists say, side by side. They
disagree and spell names differently; the rules that make one book of them are numbered below and explained in README.md.
The same input gives the same output, byte for byte. What is refused is printed.
"""

import collections
import csv
import json
import pathlib
import re
import sys
from decimal import Decimal, localcontext, ROUND_HALF_EVEN

HERE = pathlib.Path(__file__).parent
OUT = ["provider", "model", "meter", "price", "per", "currency", "effective_from", "effective_until",
       "tier_min_tokens", "service_tier", "region", "schedule", "source", "source_ref"]

# Rule 1: sources in order of trust. The first keeps dated prices, tiers and links per model and is itself tested.
RANK = {"genai-prices": 0, "litellm": 1, "model-prices": 2, "metergraph-core": 3}

# Rule 2: one id per provider, whatever a source calls it.
PROVIDERS = {"azure_ai": "azure", "github-copilot": "github_copilot", "voyageai": "voyage", "moonshot": "moonshotai",
             "dashscope": "alibaba", "bigmodel": "zhipuai", "lambda_ai": "lambda", "openai-decisions": "openai_decisions",
             "text-completion-codestral": "codestral", "text-completion-inception": "inception"}
# Free endpoints that a source lists under the provider whose models they serve: what is paid for there is no price here.
ENDPOINTS = {("mistral", "codestral/"): "codestral"}
# Prefixes that a source puts before the ids of a provider.
PREFIXES = {"google": ["gemini"], "google_vertex": ["vertex_ai", "vertex_ai_beta"], "together": ["together_ai"],
            "fireworks": ["fireworks_ai", "accounts/fireworks/models"], "codestral": ["text-completion-codestral"],
            "azure": ["azure_ai"], "aws_bedrock": ["bedrock", "bedrock_mantle", "bedrock_converse"], "moonshotai": ["moonshot"],
            "alibaba": ["dashscope"], "zhipuai": ["bigmodel"], "github_copilot": ["github_copilot"], "meta": ["meta_llama"],
            "lambda": ["lambda_ai"], "voyage": ["voyage"], "cohere": ["cohere_chat"],
            "inception": ["text-completion-inception"]}
# metergraph's ids are names of its own except for gateways, whose ids are vendor/model.
METERGRAPH = {"vercel_ai_gateway", "openrouter"}
# Ids that a source made up, and those that the provider's API takes for the same model.
RENAMED = {("aws_bedrock", "anthropic.claude-opus-4-5"): "anthropic.claude-opus-4-5-20251101"}
REGION = re.compile(r"^(us|eu|apac|ap|au|jp|ca|global|us-gov|regional)\.(?=[a-z0-9-]+\.)")
AWS_REGION = re.compile(r"^([a-z]{2}(?:-gov)?-[a-z]+-\d)/(.+)$")
AZURE_REGION = re.compile(r"^(us|eu|apac|global|global-standard|standard|datazone|data-zone)/(.+)$")
# Anthropic: inference in the US only costs 1.1 times as much for Opus 4.6, Sonnet 4.6 and later.
US_ONLY = re.compile(r"^claude-((opus|sonnet)-4-[6-9]|[a-z]+-[5-9])")
# Anthropic: Claude 4.5 and later at a regional or multi-region endpoint of Google's cloud costs 1.1 times as much as at the global one.
ENDPOINTS_APART = re.compile(r"^claude-((opus|sonnet|haiku)-4-[5-9]|[a-z]+-[5-9])")
# Tools that a provider prices apart from the model.
TOOLS = ("web_search", "file_search", "code_interpreter_session")
# Sound and pictures, which text's price never stands in for.
APART = ("audio_in", "audio_out", "image_in", "image_out")
# Clouds that sell Claude with its own search, which Anthropic prices alike everywhere.
CLAUDE_CLOUDS = ("azure", "google", "google_vertex")
# Rule 12: ids that a provider retired without refusing them: from the time on it serves, and bills, another model under the id.
XAI_RETIRED = ("2026-05-15T19:00:00Z", "grok-4.3", "https://docs.x.ai/developers/migration/may-15-retirement")
REDIRECTS = [("xai", model, *XAI_RETIRED) for model in (
    "grok-3", "grok-3-latest", "grok-4", "grok-4-0709", "grok-4-fast", "grok-4-fast-reasoning", "grok-4-fast-non-reasoning",
    "grok-4-1-fast", "grok-4-1-fast-reasoning", "grok-4-1-fast-non-reasoning", "grok-code-fast-1")] + [
    # Its API lists the id as another name of the model for code since that was released.
    ("xai", "grok-code-fast-1", "2026-05-20", "grok-build-0.1", "https://api.x.ai/v1/language-models"),
    # Its two modes, with and without thinking; refused since 2026-07-24 15:59 UTC.
    ("deepseek", "deepseek-chat", "2026-04-24", "deepseek-v4-flash", "https://api-docs.deepseek.com/news/news260424"),
    ("deepseek", "deepseek-reasoner", "2026-04-24", "deepseek-v4-flash", "https://api-docs.deepseek.com/news/news260424")]
DATE = re.compile(r"-(?:20\d\d-\d\d-\d\d|20\d{6})$")


def clean_model(provider, model):
    """Rule 3: the id that the provider's API takes, and the region that the spelling names."""
    region = ""
    for prefix in [provider] + PREFIXES.get(provider, []):
        if model.startswith(prefix + "/"):
            model = model[len(prefix) + 1:]
    if provider == "aws_bedrock":
        found = AWS_REGION.match(model)
        if found:
            region, model = found.groups()
        found = REGION.match(model)
        if found:
            region = "" if found[1] == "regional" else found[1]
            model = model[found.end():]
        if model.startswith("anthropic."):
            model = re.sub(r"@.*$", "", model)
            model = re.sub(r"(?<=\d)-v\d+(:\d+)?$", "", model)
    elif provider == "azure":
        found = AZURE_REGION.match(model)
        if found:
            region, model = found.groups()
            region = "" if region in ("standard", "global-standard") else region
    elif provider == "google_vertex":
        model = re.sub(r"@default$", "", model)
    return RENAMED.get((provider, model), model), region


def clean_price(text, per, meter):
    """Rule 4: a published figure, exact. More than 14 digits are the noise of a binary float (0.18000000000000002) or an
    endless fraction (a price per minute, by the second): the hourly price where that is plain, else 12 significant digits."""
    price = Decimal(text)
    if price < 0:
        return None
    digits = len(price.normalize().as_tuple().digits)
    if digits <= 14:
        return price, per
    if per == 1 and meter.endswith("_second"):
        hour = round(price * 3600, 6)  # a price per minute or hour, divided by its source
        if hour and abs(hour / 3600 - price) / price < Decimal("1e-12"):
            return hour, 3600
    with localcontext() as context:
        context.prec, context.rounding = 12, ROUND_HALF_EVEN
        return +price, per


def clean_schedule(text):
    """Rule 5: windows in UTC; what holds outside of them is the price without a schedule."""
    if text in ("", "off-peak"):
        return ""
    if text.endswith(" UTC daily"):
        return text.removesuffix(" UTC daily")
    if text.startswith("peak ") and text.endswith(" weekdays"):
        hours = json.loads(text.removeprefix("peak ").removesuffix(" weekdays"))
        return " ".join(f"{int(a):02}:00-{int(b):02}:00" for a, b in hours) + " mon-fri"
    raise ValueError(f"unknown schedule {text!r}")


def clean_time(text):
    return re.sub(r"T00:00:00Z$", "", re.sub(r"\+00:00$", "Z", text))


def clean(row, refused):
    source = row["source"]
    name = source.split()[0]
    provider = PROVIDERS.get(row["provider"], row["provider"])
    provider = ENDPOINTS.get((provider, re.sub("(?<=/).*", "", row["model"])), provider)
    if name == "metergraph-core" and provider not in METERGRAPH:
        return None
    if provider == "perplexity" and name == "genai-prices":
        # What its Agent API calls perplexity/sonar is another product than sonar; litellm puts the provider before both.
        model, region = row["model"], ""
    else:
        model, region = clean_model(provider, row["model"])
    if "-month-commitment/" in model:
        return None  # capacity by the hour, not a price of calls
    meter = re.sub(r"^(batch|flex|priority)_", "", row["meter"])
    meter = "cache_write" if meter == "cache_write_5m" else meter
    tier = row["service_tier"]
    if tier.startswith("context_"):  # the size of a web search; medium is the default
        meter, tier = {"low": "web_search_low", "medium": "web_search", "high": "web_search_high"}[tier[8:]], ""
    price = clean_price(row["price"], int(row["per"]), meter)
    if price is None:
        refused.append(f"line {row['line']}: {provider}/{model} {meter} {row['price']}: not a price")
        return None
    sent = row["region"]
    region = region or ("" if sent == "geo" or sent == "global" and provider != "aws_bedrock" else sent)
    return {"provider": provider, "model": model, "meter": meter, "price": price[0], "per": price[1],
            "currency": row["currency"], "effective_from": clean_time(row["effective_from"]),
            "effective_until": clean_time(row["effective_until"]), "tier_min_tokens": row["tier_min_tokens"],
            "service_tier": tier, "region": region, "schedule": clean_schedule(row["schedule"]), "source": source,
            "source_ref": row["source_ref"].split("?")[0], "rank": RANK[name], "line": row["line"], "spelled": row["model"]}


def overlaps(one, two):
    key = ("tier_min_tokens", "schedule")
    return all(one[k] == two[k] for k in key) and overlaps_in_time(one, two)


def overlaps_in_time(one, two):
    before = lambda a, b: a["effective_until"] and b["effective_from"] and a["effective_until"] <= b["effective_from"]
    return not before(one, two) and not before(two, one)


def priced(rows):
    """Rule 6a: a zero is often a price that nobody has entered. It gives way to a price above zero that another source, or
    the same source under another spelling, has at the same time for the same provider, model, meter, tier and region."""
    key = lambda row: (row["provider"], row["model"].lower(), row["meter"], row["service_tier"], row["region"])
    paid = collections.defaultdict(list)
    for row in rows:
        if row["price"]:
            paid[key(row)].append(row)
    told_by = lambda row: (row["source"], row["spelled"])
    for row in rows:
        if row["price"] or not any(told_by(row) != told_by(other) and overlaps_in_time(row, other) for other in paid[key(row)]):
            yield row


def picture_tiers(rows):
    """Rule 6c: some sources know one price of output where others tell pictures from text. A source whose only standard price
    of output is what another says of pictures means pictures: so do its prices of output in other tiers."""
    pictures, outputs = collections.defaultdict(set), collections.defaultdict(list)
    for row in rows:
        model = (row["provider"], row["model"].lower(), row["region"])
        if row["meter"] == "image_out" and not row["service_tier"]:
            pictures[model].add(row["price"] / row["per"])
        elif row["meter"] == "output" and not row["tier_min_tokens"] and not row["schedule"]:
            outputs[model, row["rank"]].append(row)
    for (model, _), told in outputs.items():
        standard = {row["price"] / row["per"] for row in told if not row["service_tier"]}
        if len(standard) == 1 and standard <= pictures[model]:
            yield from (dict(row, meter="image_out") for row in told if row["service_tier"])


def outdated(rows):
    """Rule 6d: a price without a date may be one that has ended. It has where a source that dates its prices had it and goes on with
    another, and no source but the most trusted one has it any more. From then on the source with the dates tells all meters of the
    model in that tier and region."""
    keys = collections.defaultdict(lambda: collections.defaultdict(lambda: collections.defaultdict(list)))
    for row in rows:
        keys[row["provider"], row["model"], row["service_tier"], row["region"]][row["meter"]][row["rank"]].append(row)
    for meters in keys.values():
        ends = [(end, min(sources), rank) for sources in meters.values() for rank, end in ends_of(sources)]
        end, trusted, dated = min(ends, default=("", None, None))
        for sources in meters.values():
            if end and min(sources) == trusted and dated in sources:
                yield from (dict(row, effective_until=min(row["effective_until"] or end, end)) for row in sources[trusted]
                            if row["effective_from"] < end)
                yield from (dict(row, effective_from=max(row["effective_from"], end), rank=trusted) for row in sources[dated]
                            if not row["effective_until"] or row["effective_until"] > end)
                sources = {rank: told for rank, told in sources.items() if rank not in (trusted, dated)}
            yield from (row for told in sources.values() for row in told)


def ends_of(sources):
    """The less trusted sources of a meter that date the end of the most trusted one's price, and when that was."""
    trusted = sources[min(sources)]
    others = {rank: rows for rank, rows in sources.items() if rank != min(sources) and now(rows)}
    if any(row["effective_from"] or row["effective_until"] for row in trusted):
        return
    if len(others) < 2 or any(now(trusted) & now(rows) for rows in others.values()):
        return
    for rank, rows in others.items():
        ended = [row["effective_until"] for row in rows if row["effective_until"] and not row["tier_min_tokens"]
                 and row["price"] / row["per"] in now(trusted)]
        if ended:
            yield rank, max(ended)


def merge(rows):
    """Rule 6: per model, meter, tier and region the most trusted source that has a price; where its prices only begin
    at some date, the next source tells what was before. Within a source the first of two contradicting lines stays."""
    keys = collections.defaultdict(lambda: collections.defaultdict(list))
    for row in rows:
        key = (row["provider"], row["model"], row["meter"], row["service_tier"], row["region"])
        group = keys[key][row["rank"]]
        if not any(overlaps(row, other) for other in group):
            group.append(row)
    for key, sources in keys.items():
        kept = of_another_place(chosen(sources, sorted(sources)), key, sources, keys)
        if not any(row["tier_min_tokens"] for row in kept):
            kept = with_steps(kept, key, sources, keys)
        yield from kept


def chosen(sources, order):
    kept = []
    start = None  # before this the book has no price yet; None: nothing chosen at all
    for rank in order:
        if start == "":
            break
        for row in sources[rank]:
            if start is not None:
                if row["effective_from"] >= start:
                    continue
                if not row["effective_until"] or row["effective_until"] > start:
                    row = dict(row, effective_until=start)
            kept.append(row)
        first = min(row["effective_from"] for row in sources[rank])
        start = first if start is None else min(start, first)
    return kept


def of_another_place(kept, key, sources, keys):
    """Rule 6e: a tier that only a less trusted source has, beside another standard price than the trusted one, is the tier of another
    place. It costs what it does in the same source's other regions that have the trusted standard price, if those agree."""
    standard = lambda region: keys.get((*key[:3], "", region), {})
    rank, trusted = min(sources), standard(key[4])
    if not key[3] or not trusted or rank not in trusted or rank <= min(trusted):
        return kept
    price = now(trusted[min(trusted)])
    if not price or price & now(trusted[rank]):
        return kept
    elsewhere = [other[rank] for place, other in keys.items() if place[:4] == key[:4] and place != key and rank in other
                 and now(standard(place[4]).get(rank, [])) == price]
    told = [[(row["price"] / row["per"], row["tier_min_tokens"], row["schedule"], row["effective_from"], row["effective_until"])
             for row in rows] for rows in elsewhere]
    return [dict(row, region=key[4]) for row in elsewhere[0]] if told and all(one == told[0] for one in told) else kept


def with_steps(kept, key, sources, keys):
    """Rule 6b: the most trusted source often knows one price where the next knows a second one for large prompts. That step
    is kept beside the trusted price where both sources agree on the price for small prompts. Where they contradict, the step
    is that of the same source's other regions with the trusted price for small prompts, if those agree with each other; else
    the price that most sources have for small prompts stays as it is, and where there is no majority the source with the
    step tells all of the meter. No price is scaled, and none is taken from a time that has passed unless the prices for small
    prompts agree."""
    for rank in sorted(sources):
        pairs = steps_of(sources[rank])
        if not pairs:
            continue
        steps = [both for step, base in pairs for row in kept for both in beside(step, base, row)]
        if steps:
            return kept + steps
        if any(not step["effective_until"] for step, _ in pairs):
            elsewhere = [steps_of(other[rank]) for place, other in keys.items() if place[:4] == key[:4] and rank in other]
            found = [[both for step, base in pairs for row in kept for both in beside(step, base, row)] for pairs in elsewhere]
            told = [[(row["tier_min_tokens"], row["price"] / row["per"], row["schedule"]) for row in steps] for steps in found if steps]
            if told and all(one == told[0] for one in told):
                return kept + [dict(row, region=key[4]) for row in next(steps for steps in found if steps)]
            if backed_by(kept, sources) <= backed_by([base for _, base in pairs], sources):
                return chosen(sources, [rank] + [other for other in sorted(sources) if other != rank])
    return kept


def backed_by(rows, sources):
    """How many sources have one of these prices for small prompts now."""
    return sum(bool(now(rows) & now(told)) for told in sources.values())


def now(rows):
    """The prices for small prompts that have no end."""
    return {row["price"] / row["per"] for row in rows if not (row["tier_min_tokens"] or row["effective_until"])}


def steps_of(rows):
    """Pairs of a price for large prompts and the same source's price for small ones at the same time."""
    return [(step, base) for step in rows if step["tier_min_tokens"] for base in rows
            if not base["tier_min_tokens"] and base["schedule"] == step["schedule"] and overlaps_in_time(step, base)
            and step["price"] * base["per"] != base["price"] * step["per"]]


def beside(step, base, row):
    """The step for as long as the price of the row and its own price for small prompts are in force and equal."""
    equal = row["price"] * base["per"] == base["price"] * row["per"]
    if equal and row["schedule"] == base["schedule"] and overlaps_in_time(row, step) and overlaps_in_time(row, base):
        untils = [part["effective_until"] for part in (step, base, row) if part["effective_until"]]
        yield dict(step, effective_from=max(part["effective_from"] for part in (step, base, row)),
                   effective_until=min(untils, default=""))


def join_unchanged(models):
    """A price that does not change is one line, told by the source of its newest part."""
    for rows in models.values():
        last = {}
        joined = []
        for row in sorted(rows, key=lambda r: r["effective_from"]):
            key = tuple(row[k] for k in ("meter", "service_tier", "region", "schedule", "tier_min_tokens"))
            before = last.get(key)
            if before and before["effective_until"] == row["effective_from"] != "" and \
                    before["price"] * row["per"] == row["price"] * before["per"]:
                start = before["effective_from"]
                before.update(row, effective_from=start)
            else:
                last[key] = dict(row)
                joined.append(last[key])
        rows[:] = joined


def base_price(rows):
    """What a model's text tokens cost now, for comparing two ids."""
    plain = lambda row: not any(row[k] for k in ("service_tier", "region", "tier_min_tokens", "schedule", "effective_until"))
    return {row["meter"]: row["price"] / row["per"] for row in rows if plain(row)}


def contains(rows, one):
    """Whether the rows hold the price of this one, in the same tier, region, schedule and size, for all its time."""
    same = ("meter", "service_tier", "region", "schedule", "tier_min_tokens")
    equal = [row for row in rows if all(row[k] == one[k] for k in same) and row["price"] * one["per"] == one["price"] * row["per"]]
    at = one["effective_from"]
    for row in sorted(equal, key=lambda row: row["effective_from"]):
        if row["effective_from"] > at:
            return False
        if not row["effective_until"] or one["effective_until"] and row["effective_until"] >= one["effective_until"]:
            return True
        at = max(at, row["effective_until"])
    return False


def fold_dated(models):
    """Rule 7: a dated id that a less trusted source adds beside an undated one is another name for it when all its prices are
    among those of the undated one: every meter, tier, region, schedule and size, for all their time. Else it is a model, which
    takes over what it says nothing of (a tier, web searches) where its text costs what the undated one's does. Where it does, a tool
    that the undated one has a price for costs that."""
    aliases = {}
    for provider, model in sorted(models):
        stem = DATE.sub("", model)
        if stem == model or (provider, stem) not in models:
            continue
        dated, plain = models[provider, model], models[provider, stem]
        worse = min(row["rank"] for row in dated) > min(row["rank"] for row in plain)
        alike = all(base_price(dated).get(meter) == base_price(plain).get(meter) for meter in ("input", "output"))
        key = lambda row: (re.sub("_(low|high)$", "", row["meter"]), row["service_tier"], row["region"])
        if worse and alike:
            tools = {key(row) for row in plain if row["meter"] in TOOLS}
            dated[:] = [row for row in dated if key(row) not in tools or contains(plain, row)]
        if worse and all(contains(plain, row) for row in dated):
            aliases[provider, model] = stem
        elif worse and alike:
            own = {key(row) for row in dated}
            dated += [dict(row, model=model, source=f"rule: as {stem}") for row in plain if key(row) not in own]
    for provider, model in aliases:
        del models[provider, model]
    return aliases


def sound_of_undated(models):
    """Rule 7a: sound and pictures are never charged as text, so an undated id that lists only its text would price no call with them.
    Where all its dated ids cost what it does for text and agree with each other, it costs what they do."""
    dated = collections.defaultdict(list)
    for provider, model in sorted(models):
        stem = DATE.sub("", model)
        if stem != model and (provider, stem) in models:
            dated[provider, stem].append(models[provider, model])
    for (provider, stem), others in dated.items():
        rows = models[provider, stem]
        own = base_price(rows)
        if any(base_price(other).get(meter) != own.get(meter) for other in others for meter in ("input", "output")):
            continue
        for meter in APART:
            told = {base_price(other).get(meter) for other in others}
            if meter not in {row["meter"] for row in rows} and len(told) == 1 and told != {None}:
                rows += [dict(row, model=stem, source=f"rule: as {row['model']}") for row in others[0] if row["meter"] == meter]


def by_hand(models, aliases):
    """Rule 9: names that a rule cannot tell; such a name has no prices of its own."""
    with open(HERE / "aliases.hand.csv", newline="") as file:
        for row in csv.DictReader(file):
            if (row["provider"], row["model"]) not in models:
                sys.exit(f"aliases.hand.csv: {row['provider']}/{row['model']} has no price")
            models.pop((row["provider"], row["alias"]), None)
            aliases[row["provider"], row["alias"]] = row["model"]


def drop_equal_searches(models):
    """The size of a search is only kept where it changes the price, and beside the price of a medium one of the same source: of
    two sources one may mean another tool."""
    for rows in models.values():
        medium = {(r["service_tier"], r["region"], r["source"]) for r in rows if r["meter"] == "web_search"}
        rows[:] = [r for r in rows if r["meter"] not in ("web_search_low", "web_search_high")
                   or (r["service_tier"], r["region"], r["source"]) in medium]
        medium = {(r["service_tier"], r["region"]): r["price"] / r["per"] for r in rows if r["meter"] == "web_search"}
        rows[:] = [r for r in rows if r["meter"] not in ("web_search_low", "web_search_high")
                   or medium.get((r["service_tier"], r["region"])) != r["price"] / r["per"]]


def tools_everywhere(models):
    """Rule 10: a tool that costs the same on every model of a provider that has a price for it costs that on all of them."""
    prices = collections.defaultdict(set)
    example = {}
    for (provider, _), rows in sorted(models.items()):
        for row in rows:
            if row["meter"] in TOOLS and not (row["service_tier"] or row["region"] or row["effective_until"]):
                prices[provider, row["meter"]].add(row["price"] / row["per"])
                example[provider, row["meter"]] = row
    for (provider, meter), known in prices.items():
        if len(known) == 1:
            models[provider, "*"].append(dict(example[provider, meter], model="*", effective_from="",
                                              source="rule: same on every model"))


def searches_of_claude(models):
    """Rule 10 within a cloud that sells Claude beside models that search at other prices: where those of its Claude models that have a
    price for a search have one, it is that of all of them."""
    for cloud in CLAUDE_CLOUDS:
        claudes = [rows for (provider, model), rows in sorted(models.items()) if provider == cloud and model.startswith("claude-")]
        told = [row for rows in claudes for row in rows if row["meter"] == "web_search"]
        plain = [row for row in told if not (row["service_tier"] or row["region"] or row["effective_until"])]
        if len({row["price"] / row["per"] for row in told}) != 1 or not plain:
            continue
        for rows in claudes:
            if all(row["meter"] != "web_search" for row in rows):
                rows.append(dict(plain[0], model=rows[0]["model"], effective_from="", source="rule: same on every Claude"))


def search_models(models):
    """Rule 11: OpenAI's search models search once in every call, charge for it, and say nothing of it in their usage: the price of a
    search is one of a request too. Where a search is counted after all, it is charged instead of the request."""
    for (provider, model), rows in models.items():
        if provider in ("openai", "azure") and "-search-preview" in model:
            rows += [dict(row, meter="request", source="rule: every call searches") for row in rows if row["meter"] == "web_search"]


def redirect(models):
    """Rule 12: a retired id costs what the model that answers in its place does, from the time on. A meter that this one has no price
    of stays as it was."""
    for provider, model, since, successor, ref in REDIRECTS:
        rows, others = models[provider, model], models[provider, successor]
        over = lambda row: row["effective_until"] and row["effective_until"] <= since
        meters = {row["meter"] for row in others if not over(row)}
        kept = []
        for row in rows:
            if row["meter"] in meters and not over(row):
                if row["effective_from"] >= since:
                    continue
                row = dict(row, effective_until=since)
            kept.append(row)
        rows[:] = kept + [dict(row, model=model, effective_from=max(row["effective_from"], since), source=f"rule: served by {successor}",
                               source_ref=ref) for row in others if not over(row)]


def complete(models):
    """Rule 8: what the providers' pages say as a rule rather than as a figure. Each such row names its rule as source."""
    for (provider, model), rows in models.items():
        if "claude" in model:
            long_lived = {(row["service_tier"], row["region"]) for row in rows if row["meter"] == "cache_write_1h"}
            for row in list(rows):
                if row["meter"] == "input" and (row["service_tier"], row["region"]) not in long_lived:
                    rows.append(dict(row, meter="cache_write_1h", price=row["price"] * 2, source="rule: input x2",
                                     source_ref="https://platform.claude.com/docs/en/about-claude/pricing"))
        if provider == "anthropic" and US_ONLY.match(model):
            rows += [dict(row, price=row["price"] * Decimal("1.1"), region="us", source="rule: us x1.1",
                          source_ref="https://platform.claude.com/docs/en/build-with-claude/data-residency")
                     for row in rows if row["meter"] != "web_search"]
        if provider in ("google", "google_vertex") and ENDPOINTS_APART.match(model):
            told = [row for row in rows if row["meter"] != "web_search" and not row["region"]]
            rows += [dict(row, region="global") for row in told]
            rows += [dict(row, price=row["price"] * Decimal("1.1"), region="regional", source="rule: regional x1.1",
                          source_ref="https://platform.claude.com/docs/en/about-claude/pricing") for row in told]
        regions = {row["region"] for row in rows}
        if "" not in regions:
            default = next((r for r in ("global", "us") if r in regions), min(regions))
            rows += [dict(row, region="") for row in rows if row["region"] == default]


def main(path):
    refused, spelled = [], collections.defaultdict(set)
    rows = []
    with open(path, newline="") as file:
        for line, row in enumerate(csv.DictReader(file), start=2):
            row["line"] = line
            cleaned = clean(row, refused)
            if cleaned:
                rows.append(cleaned)
    models = collections.defaultdict(list)
    known = list(outdated(list(priced(rows))))
    for row in merge(known + list(picture_tiers(known))):
        models[row["provider"], row["model"]].append(row)
    for row in rows:
        spelled[row["provider"], row["model"]].add(row["spelled"])
    # Ids are compared without case; of two that differ only in it, the more trusted source's (then the first) stays.
    by_lower = {}
    for key in sorted(models, key=lambda k: (min(row["rank"] for row in models[k]), k)):
        by_lower.setdefault((key[0], key[1].lower()), key)
    for key in list(models):
        if by_lower[key[0], key[1].lower()] != key:
            del models[key]
    drop_equal_searches(models)
    aliases = fold_dated(models)
    sound_of_undated(models)
    by_hand(models, aliases)
    complete(models)
    tools_everywhere(models)
    searches_of_claude(models)
    search_models(models)
    redirect(models)
    join_unchanged(models)
    # Bedrock ids lose their version (`-v1:0`) above; as sent they find the same price.
    for (provider, model), names in sorted(spelled.items()):
        if provider == "aws_bedrock" and (provider, model) in models:
            for name in names:
                short = REGION.sub("", AWS_REGION.sub(r"\2", name.removeprefix("bedrock/")))
                if short != model and "/" not in short:
                    aliases.setdefault((provider, short), model)
                bare = re.sub(r"^anthropic\.", "", short)
                if bare != short:
                    aliases.setdefault((provider, bare), model)
    write(models, aliases)
    print(f"{sum(map(len, models.values()))} prices of {len(models)} models, {len(aliases)} aliases; refused {len(refused)}:")
    print("\n".join(refused))


def write(models, aliases):
    order = ("provider", "model", "meter", "service_tier", "region", "schedule", "tier_min_tokens", "effective_from")
    number = lambda row: tuple(int(row[k] or 0) if k == "tier_min_tokens" else row[k] for k in order)
    with open(HERE / "prices.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(OUT)
        for row in sorted((row for rows in models.values() for row in rows), key=number):
            price = format(row["price"].normalize(), "f")
            writer.writerow([price if column == "price" else row[column] for column in OUT])
    known = {(provider, model.lower()) for provider, model in models}
    with open(HERE / "aliases.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["provider", "alias", "model"])
        for (provider, alias), model in sorted(aliases.items()):
            if (provider, alias.lower()) not in known:
                writer.writerow([provider, alias, model])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
