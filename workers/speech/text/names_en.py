"""What English signs and shortenings are called. Runs in the speech worker.

Tables only: written sign -> spoken words, used by `normalise_en`.
"""

from __future__ import annotations

# sign -> (one, many)
UNITS = {
    "km/h": ("kilometer per hour", "kilometers per hour"), "m/s": ("meter per second", "meters per second"),
    "mph": ("mile per hour", "miles per hour"), "fps": ("frame per second", "frames per second"),
    "km": ("kilometer", "kilometers"), "cm": ("centimeter", "centimeters"), "mm": ("millimeter", "millimeters"),
    "nm": ("nanometer", "nanometers"), "m²": ("square meter", "square meters"), "m": ("meter", "meters"),
    "ft": ("foot", "feet"), "mi": ("mile", "miles"), "yd": ("yard", "yards"), "lb": ("pound", "pounds"),
    "lbs": ("pound", "pounds"), "oz": ("ounce", "ounces"), "kg": ("kilogram", "kilograms"),
    "mg": ("milligram", "milligrams"), "g": ("gram", "grams"), "ml": ("milliliter", "milliliters"),
    "mL": ("milliliter", "milliliters"), "L": ("liter", "liters"), "ms": ("millisecond", "milliseconds"),
    "s": ("second", "seconds"), "sec": ("second", "seconds"), "min": ("minute", "minutes"),
    "h": ("hour", "hours"), "hr": ("hour", "hours"), "hrs": ("hour", "hours"), "KB": ("kilobyte", "kilobytes"),
    "kB": ("kilobyte", "kilobytes"), "MB": ("megabyte", "megabytes"), "GB": ("gigabyte", "gigabytes"),
    "TB": ("terabyte", "terabytes"), "MiB": ("mebibyte", "mebibytes"), "GiB": ("gibibyte", "gibibytes"),
    "Hz": ("hertz", "hertz"), "kHz": ("kilohertz", "kilohertz"), "MHz": ("megahertz", "megahertz"),
    "GHz": ("gigahertz", "gigahertz"), "W": ("watt", "watts"), "kW": ("kilowatt", "kilowatts"),
    "kWh": ("kilowatt hour", "kilowatt hours"), "V": ("volt", "volts"), "dB": ("decibel", "decibels"),
    "℃": ("degree Celsius", "degrees Celsius"), "°C": ("degree Celsius", "degrees Celsius"),
    "℉": ("degree Fahrenheit", "degrees Fahrenheit"), "°F": ("degree Fahrenheit", "degrees Fahrenheit"),
    "°": ("degree", "degrees"),
}  # fmt: skip
# sign -> (unit one, unit many, part one, part many)
CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"), "US$": ("dollar", "dollars", "cent", "cents"),
    "€": ("euro", "euros", "cent", "cents"), "£": ("pound", "pounds", "penny", "pence"),
    "¥": ("yuan", "yuan", "", ""), "₹": ("rupee", "rupees", "paisa", "paise"), "₩": ("won", "won", "", ""),
}  # fmt: skip
SCALE_WORDS = {"k": "thousand", "m": "million", "mn": "million", "b": "billion", "bn": "billion"}
ABBREVIATIONS = {
    "vs": "versus", "etc": "et cetera", "e.g": "for example", "i.e": "that is", "approx": "approximately",
    "dept": "department", "fig": "figure", "figs": "figures", "vol": "volume", "jr": "junior", "sr": "senior",
    "prof": "professor", "gen": "general", "sen": "senator", "rep": "representative", "tel": "telephone", "bros": "brothers", "rd": "road", "ln": "lane", "hwy": "highway", "gov": "governor",
    "capt": "captain", "sgt": "sergeant", "lt": "lieutenant", "col": "colonel", "rev": "reverend",
    "hon": "honorable", "pres": "president", "ave": "avenue", "blvd": "boulevard", "inc": "incorporated",
    "ltd": "limited", "corp": "corporation", "dr": "doctor", "mr": "mister", "mrs": "missus", "ms": "miz",
}  # fmt: skip

# Before a place, a name or a number.
SHORTENED = {
    "Mt": "mount", "Ft": "fort", "Apt": "apartment", "Ste": "suite", "Pt": "point", "Rte": "route", "Hwy": "highway",
    "Ch": "chapter", "Sec": "section", "Bldg": "building", "Msgr": "monsignor", "Sen": "senator", "Gov": "governor",
}  # fmt: skip
# Digits behind these are said one by one.
SPELLED_AFTER = (
    "call|dial|phone|ring|zip|zip code|postcode|postal code|pin|passcode|password|code|extension|ext\\.?|account|otp|id|ssn|"
    "serial|tracking|confirmation|booking|area code|hotline|helpline|badge|licence|license|invoice|ticket"
)
MONARCHS = (
    "Henry|Louis|Elizabeth|George|Edward|Charles|James|William|Richard|John Paul|Pius|Benedict|Philip|Ferdinand|Catherine|"
    "Napoleon|Alexander|Peter|Nicholas|Frederick|Ramses|Ramesses|Otto|Leopold|Innocent|Gregory|Leo|Mary|Juan Carlos|Wilhelm|"
    "Francis|Franz Joseph|Gustav|Haakon|Christian|Margrethe|Ivan|Darius|Xerxes|Ptolemy|Cleopatra|Urban|Clement|Robert|Malcolm"
)
NUMBERED = (
    "[Pp]art|[Cc]hapter|[Vv]olume|[Bb]ook|[Aa]ct|[Ss]cene|[Ss]ection|[Pp]hase|[Tt]ype|[Cc]lass|[Tt]itle|[Aa]ppendix|[Aa]rticle|"
    "[Gg]rade|[Ll]evel|[Ss]tage|World War|Super Bowl|Final Fantasy|Grand Theft Auto|Star Wars|Episode|[Tt]able|[Ff]igure|Mark|"
    "Apollo|Saturn|[Uu]nit|[Mm]odule|[Tt]ier|[Cc]ategory|Roman numeral|Schedule|Annex"
)
