"""Chinese written forms are read as a newsreader would. Expectations come from GB/T 15835 and the dictionary."""

import pytest

from workers.speech.text.language import detect
from workers.speech.text.normalise_zh import normalise
from workers.speech.text.numbers_zh import cardinal
from workers.speech.text.rules import clean
from workers.speech.text.zh import Chinese


def read(text: str) -> str:
    return " ".join(normalise(clean(text)).text.split())


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("0", "零"), ("7", "七"), ("10", "十"), ("12", "十二"), ("20", "二十"), ("100", "一百"), ("101", "一百零一"),
        ("110", "一百一十"), ("350", "三百五十"), ("1000", "一千"), ("1001", "一千零一"), ("1010", "一千零一十"),
        ("2000", "两千"), ("10000", "一万"), ("10010", "一万零一十"), ("100000", "十万"), ("20000", "两万"),
        ("1234567", "一百二十三万四千五百六十七"), ("100000000", "一亿"), ("100005000", "一亿零五千"),
        ("1,234", "一千二百三十四"), ("007", "零零七"),
    ],
)  # fmt: skip
def test_quantities_are_read_in_groups_of_ten_thousand(written: str, spoken: str) -> None:
    assert cardinal(written) == spoken


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("2026年3月5日", "二零二六年三月五日"),
        ("2026-03-05", "二零二六年三月五日"),
        ("1998/12/31", "一九九八年十二月三十一日"),
        ("2020-2025年", "二零二零到二零二五年"),
        ("工作10年", "工作十年"),
        ("90年代", "九十年代"),
        ("14:30", "十四点三十分"),
        ("8:05", "八点零五分"),
        ("9:00", "九点整"),
        ("2:15", "两点十五分"),
    ],
)
def test_dates_and_times(written: str, spoken: str) -> None:
    assert read(written) == spoken


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("12.5%", "百分之十二点五"),
        ("10%-20%", "百分之十到百分之二十"),
        ("3‰", "千分之三"),
        ("¥12.50", "十二点五元"),
        ("$100", "一百美元"),
        ("$3.5亿", "三点五亿美元"),
        ("€20", "二十欧元"),
        ("3.14", "三点一四"),
        ("0.5", "零点五"),
        ("1/2", "二分之一"),
        ("3:2", "三比二"),
        ("版本1.2.3", "版本一点二点三"),
        ("气温-5℃", "气温零下五摄氏度"),
        ("60km/h", "六十公里每小时"),
        ("5kg", "五公斤"),
        ("100-200元", "一百到二百元"),
        ("2-3天", "两到三天"),
        ("5-3=2", "五减三等于二"),
        ("5元/斤", "五元每斤"),
        ("75次/分", "七十五次每分"),
        ("血压120/80", "血压一百二十 八十"),
        ("14:30-16:00", "十四点半到十六点"),
        ("-10°C~5°C", "零下十摄氏度到五摄氏度"),
        ("201室", "二零一室"),
    ],
)
def test_money_percent_decimals_units_ranges(written: str, spoken: str) -> None:
    assert read(written) == spoken


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("请打10086", "请打幺零零八六"),
        ("请打 10086。", "请打 幺零零八六。"),
        ("遇到危险打110", "遇到危险打幺幺零"),
        ("火灾请打119", "火灾请打幺幺九"),
        ("快打120！", "快打幺二零！"),
        ("打110报警", "打幺幺零报警"),
        ("打电话给110", "打电话给幺幺零"),
        ("报警110", "报警幺幺零"),
        ("12345热线", "幺二三四五热线"),
        ("12315消费者投诉热线", "幺二三幺五消费者投诉热线"),
        ("120急救", "幺二零急救"),
        ("10086客服", "幺零零八六客服"),
        ("拨打95588", "拨打九五五八八"),
        ("客服热线：95588", "客服热线：九五五八八"),
        ("打100分", "打一百分"),
        ("打110个电话", "打一百一十个电话"),
        ("打120下", "打一百二十下"),
        ("打500字", "打五百字"),
        ("身高120", "身高一百二十"),
    ],
)
def test_dialled_numbers_are_read_digit_by_digit(written: str, spoken: str) -> None:
    assert read(written) == spoken


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("8:00-9:30", "八点到九点半"),
        ("营业时间8:00–21:05。", "营业时间八点到二十一点零五分。"),
        ("2:15~2:45", "两点十五分到两点四十五分"),
        ("9：00至18：00", "九点到十八点"),
        ("邮箱test@qq.com", "邮箱 test 艾特 qq 点 com"),
        ("邮箱test@qq.com。", "邮箱 test 艾特 qq 点 com 。"),
    ],
)
def test_ranges_of_time_and_addresses_that_touch_han(written: str, spoken: str) -> None:
    assert read(written) == spoken


def test_an_address_longer_than_the_chinese_around_it_is_read_in_chinese() -> None:
    assert detect("邮箱test@qq.com", "zh") == "zh"
    assert detect("请看https://example.com/x?y=1", "zh") == "zh"


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("13812345678", "幺三八幺二三四五六七八"),
        ("138-1234-5678", "幺三八，幺二三四，五六七八"),
        ("010-12345678", "零幺零，幺二三四，五六七八"),
        ("拨打110", "拨打幺幺零"),
        ("400-800-1234", "四零零，八零零，幺二三四"),
    ],
)
def test_telephone_numbers_are_digits_with_yao(written: str, spoken: str) -> None:
    assert read(written) == spoken


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("2个人", "两个人"), ("第2名", "第二名"), ("2月2日", "二月二日"), ("2点", "两点"), ("22个", "二十二个"),
        ("2号楼", "二号楼"), ("2倍", "两倍"), ("第12章", "第十二章"), ("2万元", "两万元"),
    ],
)  # fmt: skip
def test_two_is_liang_before_measures_and_er_in_ordinals(written: str, spoken: str) -> None:
    assert read(written) == spoken


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("Windows 11", "Windows 十一"),
        ("Wan2GP", "Wan two GP"),
        ("3D打印", "三D打印"),
        ("5G", "五G"),
        ("GPT-4", "GPT 四"),
        ("RTX4090", "RTX 四零九零"),
        ("AT&T", "AT和T"),
    ],
)
def test_latin_names_keep_their_letters(written: str, spoken: str) -> None:
    assert read(written) == spoken


def test_an_address_is_read_to_its_host_and_first_step() -> None:
    assert read("请看 https://www.example.com/docs?x=1&y=2 吧") == "请看 example 点 com 吧"
    assert read("写信到 info@example.com") == "写信到 info 艾特 example 点 com"
    assert read("写信到info@example.com。") == "写信到 info 艾特 example 点 com 。"


@pytest.mark.parametrize(
    ("phrase", "pinyin"),
    [
        ("你好", "ni2 hao3"),
        ("我很好", "wo2 hen2 hao3"),
        ("展览馆", "zhan2 lan2 guan3"),
        ("纸老虎", "zhi3 lao2 hu3"),
        ("一个", "yi2 ge4"),
        ("一天", "yi4 tian1"),
        ("一样", "yi2 yang4"),
        ("一百", "yi4 bai3"),
        ("第一", "di4 yi1"),
        ("十一", "shi2 yi1"),
        ("统一", "tong3 yi1"),
        ("看一看", "kan4 yi5 kan4"),
        ("不对", "bu2 dui4"),
        ("不好", "bu4 hao3"),
        ("好不好", "hao3 bu5 hao3"),
        ("朋友", "peng2 you5"),
        ("我们", "wo3 men5"),
        ("谢谢", "xie4 xie5"),
        ("桌子", "zhuo1 zi5"),
        ("电子", "dian4 zi3"),
    ],
)
def test_tone_sandhi_and_neutral_tones(chinese: Chinese, phrase: str, pinyin: str) -> None:
    assert " ".join(chinese.pinyin(phrase)) == pinyin


@pytest.mark.parametrize(
    ("phrase", "character", "pinyin"),
    [
        ("银行", "行", "hang2"),
        ("行走", "行", "xing2"),
        ("长大了", "长", "zhang3"),
        ("长江", "长", "chang2"),
        ("重新开始", "重", "chong2"),
        ("重要", "重", "zhong4"),
        ("音乐", "乐", "yue4"),
        ("快乐", "乐", "le4"),
        ("我得走了", "得", "dei3"),
        ("走得快", "得", "de5"),
        ("三只猫", "只", "zhi1"),
        ("下载", "载", "zai4"),
        ("角色", "角", "jue2"),
        ("重庆", "重", "chong2"),
        ("睡觉", "觉", "jiao4"),
        ("觉得", "觉", "jue2"),
        ("还书", "还", "huan2"),
        ("还有", "还", "hai2"),
        ("看得见", "得", "de5"),
        ("不得不", "得", "de2"),
        ("慢慢地走", "地", "de5"),
        ("轻轻地说", "地", "de5"),
        ("目的地", "地", "di4"),
        ("很得意", "得", "de2"),
        ("得了第一名", "得", "de2"),
        ("处理", "处", "chu3"),
        ("率先", "率", "shuai4"),
        ("效率", "率", "lv4"),
    ],
)
def test_polyphones_get_the_reading_of_their_word(
    chinese: Chinese, phrase: str, character: str, pinyin: str
) -> None:
    syllable = chinese.pinyin(phrase)[phrase.index(character)]
    # Third-tone sandhi may turn a 3 into a 2; the reading is what is tested here.
    assert syllable == pinyin or (pinyin[-1] == "3" and syllable == pinyin[:-1] + "2")
