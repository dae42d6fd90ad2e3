"""English written forms and words are read as in American (or British) speech."""

import pytest

from workers.speech.text.aligned import Aligned
from workers.speech.text.en import English
from workers.speech.text.normalise_en import normalise
from workers.speech.text.rules import clean


def read(text: str) -> str:
    return " ".join(normalise(clean(text)).text.split())


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("0", "zero"), ("13", "thirteen"), ("42", "forty two"), ("100", "one hundred"),
        ("350", "three hundred fifty"), ("1,234", "one thousand two hundred thirty four"),
        ("1000000", "one million"), ("3.14", "three point one four"), ("0.5", "zero point five"),
        ("-7", "minus seven"), ("21st", "twenty first"), ("12th", "twelfth"), ("30th", "thirtieth"),
    ],
)  # fmt: skip
def test_numbers(written: str, spoken: str) -> None:
    assert read(written) == spoken


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("In 2026", "In twenty twenty six"),
        ("in 1905", "in nineteen oh five"),
        ("in 2000", "in two thousand"),
        ("in 2008", "in two thousand eight"),
        ("the 1990s", "the nineteen nineties"),
        ("2048 tokens", "two thousand forty eight tokens"),
        ("2020-2025", "twenty twenty to twenty twenty five"),
        ("March 5, 2026", "March fifth, twenty twenty six"),
        ("5 March 2026", "the fifth of March twenty twenty six"),
        ("2026-03-05", "March fifth, twenty twenty six"),
        ("3/5/2026", "March fifth, twenty twenty six"),
        ("3:30 pm", "three thirty P M"),
        ("10:05", "ten oh five"),
        ("9:00", "nine o'clock"),
        ("9 a.m.", "nine A M."),
    ],
)
def test_years_dates_and_times(written: str, spoken: str) -> None:
    assert read(written) == spoken


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("the 21st of May", "the twenty first of May"),
        ("The 4th of July", "The fourth of July"),
        ("on 4 July", "on the fourth of July"),
        ("every 4th of July", "every fourth of July"),
        ("10:30–11:45", "ten thirty to eleven forty five"),
        ("8:00-9:30", "eight o'clock to nine thirty"),
        ("8:15 am - 9:30 pm", "eight fifteen A M to nine thirty P M"),
        ("9am-5pm", "nine A M to five P M"),
        ("9/11", "nine eleven"),
        ("after 9/11, all changed", "after nine eleven, all changed"),
        ("9/11 of it", "nine elevenths of it"),
    ],
)
def test_dates_with_an_article_and_ranges_of_time(written: str, spoken: str) -> None:
    assert read(written) == spoken


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("50%-60%", "fifty to sixty percent"),
        ("50% – 60%", "fifty to sixty percent"),
        ("3 1/2 cups", "three and a half cups"),
        ("1 3/4 miles", "one and three quarters miles"),
        ("2 1/3", "two and one third"),
        ("5 1/4", "five and a quarter"),
        ("He is 6'2\" tall", "He is six foot two tall"),
        ("a 5’11” man", "a five foot eleven man"),
        ("+44 20 7946 0958", "plus four four, two zero, seven nine four six, zero nine five eight"),
        ("+442079460958", "plus four four two zero seven nine four six zero nine five eight"),
        ("call +1 (555) 123-4567", "call plus one, five five five, one two three, four five six seven"),
        ("+1(555) 123-4567", "plus one, five five five, one two three, four five six seven"),
        ("+5 degrees", "plus five degrees"),
    ],
)
def test_ranges_mixed_numbers_heights_and_numbers_from_abroad(written: str, spoken: str) -> None:
    assert read(written) == spoken


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("<b>bold</b>", "bold"),
        ('See <a href="https://a.example/x">this page</a>.', "See this page ."),
        ("One<br/>two", "One two"),
        ("a<b", "a is less than b"),
        ("x <b> y", "x is less than b is greater than y"),
    ],
)
def test_tags_are_silent_and_comparisons_are_not(written: str, spoken: str) -> None:
    assert read(written) == spoken


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("$5", "five dollars"),
        ("$1", "one dollar"),
        ("$5.50", "five dollars and fifty cents"),
        ("$0.99", "ninety nine cents"),
        ("$1.5 million", "one point five million dollars"),
        ("£3", "three pounds"),
        ("12.5%", "twelve point five percent"),
        ("10-20%", "ten to twenty percent"),
        ("3 GB", "three gigabytes"),
        ("1 km", "one kilometer"),
        ("20°C", "twenty degrees Celsius"),
        ("1/2", "one half"),
        ("3/4", "three quarters"),
        ("10-20 km", "ten to twenty kilometers"),
        ("24/7", "twenty four seven"),
        ("2+2=4", "two plus two equals four"),
    ],
)
def test_money_percent_units_fractions_ranges(written: str, spoken: str) -> None:
    assert read(written) == spoken


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("555-123-4567", "five five five, one two three, four five six seven"),
        ("(555) 123-4567", "five five five, one two three, four five six seven"),
        ("555-1234", "five five five, one two three four"),
        ("+1 (800) 555-0199", "plus one, eight zero zero, five five five, zero one nine nine"),
        ("16:9", "sixteen to nine"),
        ("mid-1990s", "mid-nineteen nineties"),
        ("the U.S. and us", "the US and us"),
        ("C++ and C#", "C plus plus and C sharp"),
        ("Dr. Smith", "doctor Smith"),
        ("St. Louis", "saint Louis"),
        ("e.g. this", "for example this"),
        ("cats & dogs", "cats and dogs"),
        ("No. 5", "number five"),
        ("GPT-4", "GPT four"),
        ("3D", "three D"),
        ("v2.5.1", "v two point five point one"),
        ("www.example.com/docs", "example dot com slash docs"),
        ("info@example.com", "info at example dot com"),
    ],
)
def test_telephones_abbreviations_names_and_addresses(written: str, spoken: str) -> None:
    assert read(written) == spoken


def phonemes(english: English, text: str) -> list[str]:
    aligned = Aligned(text, tuple((i, i + 1) for i in range(len(text))))
    return [unit.phonemes for unit in english.read(aligned) if unit.is_word]


@pytest.mark.parametrize(
    ("sentence", "index", "sound"),
    [
        ("I read it yesterday", 1, "ɹˈɛd"),
        ("I read it every day", 1, "ɹˈid"),
        ("please record it", 1, "ɹəkˈɔɹd"),
        ("a new record", 2, "ɹˈɛkəɹd"),
        ("we use it", 1, "jˈuz"),
        ("the use of it", 1, "jˈus"),
        ("the apple", 0, "ði"),
        ("the pear", 0, "ðə"),
        ("they live here", 1, "lˈɪv"),
        ("a live show", 1, "lˈIv"),
    ],
)
def test_words_with_two_readings_follow_their_use(
    english: English, sentence: str, index: int, sound: str
) -> None:
    assert phonemes(english, sentence)[index] == sound


def test_abbreviations_are_spelled_and_words_in_capitals_are_not(english: English) -> None:
    assert phonemes(english, "the GPU")[1] == "ʤˌipˌijˈu"
    assert phonemes(english, "CPUs")[0].endswith("z")
    assert phonemes(english, "the US")[1] == "jˌuˈɛs"
    assert phonemes(english, "NASA")[0] == "nˈæsə"
    assert phonemes(english, "STOP")[0] == "stˈɑp"


def test_regular_endings_are_built_on_known_stems(english: English) -> None:
    assert phonemes(english, "emailing")[0].endswith("ɪŋ")
    assert phonemes(english, "selfies")[0].endswith("z")


def test_an_unknown_word_gets_sounds_and_loses_no_word(english: English) -> None:
    assert len(phonemes(english, "a zibblefrop appeared")) == 3
    assert all(phonemes(english, "a zibblefrop appeared"))


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("Call 1-800-555-0199", "Call one, eight zero zero, five five five, zero one nine nine"),
        ("at 1920x1080.", "at nineteen twenty by ten eighty."),
        ("10x the speed", "ten times the speed"),
        ("2 x 3 = 6", "two times three equals six"),
        ("rated 4.5/5", "rated four point five out of five"),
        ("9 to 5, Mon-Fri.", "nine to five, Monday to Friday."),
    ],
)
def test_sizes_products_ratings_and_days(written: str, spoken: str) -> None:
    assert read(written) == spoken
