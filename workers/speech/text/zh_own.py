"""Chinese readings that the vendored dictionary lacks or gives in a rarer form. Data; runs in the speech worker.

Source: Xiandai Hanyu Cidian, 7th edition.
"""

from __future__ import annotations


def _table(text: str) -> dict[str, str]:
    """`word pin1 yin1, word pin1 yin1` by word."""
    entries = (entry.split() for entry in text.replace("\n", " ").split(",") if entry.strip())
    return {word: " ".join(syllables) for word, *syllables in entries}


def _words(text: str) -> list[str]:
    return text.split()


OWN_WORDS = _table(
    """
    长大 zhang3 da4, 重启 chong2 qi3, 重做 chong2 zuo4, 重来 chong2 lai2, 还是 hai2 shi5, 还有 hai2 you3, 都是 dou1 shi4,
    都有 dou1 you3, 得了 de2 le5, 似的 shi4 de5, 为了 wei4 le5, 因为 yin1 wei4, 成为 cheng2 wei2, 认为 ren4 wei2,
    作为 zuo4 wei2, 以为 yi3 wei2, 称为 cheng1 wei2, 视为 shi4 wei2, 分为 fen1 wei2, 转为 zhuan3 wei2, 改为 gai3 wei2,
    定为 ding4 wei2, 更为 geng4 wei2, 极为 ji2 wei2, 下载 xia4 zai4, 加载 jia1 zai4, 记载 ji4 zai3, 角色 jue2 se4,
    主角 zhu3 jue2, 银行 yin2 hang2, 行业 hang2 ye4, 首行 shou3 hang2, 音乐 yin1 yue4, 快乐 kuai4 le4,
    数一数 shu3 yi1 shu3, 调整 tiao2 zheng3, 调用 diao4 yong4, 空白 kong4 bai2, 有空 you3 kong4, 处理 chu3 li3,
    便宜 pian2 yi5, 方便 fang1 bian4, 差不多 cha4 bu5 duo1, 出差 chu1 chai1, 多少 duo1 shao5, 漂亮 piao4 liang5,
    应该 ying1 gai1, 应用 ying4 yong4, 睡觉 shui4 jiao4, 觉得 jue2 de5, 当作 dang4 zuo4, 上当 shang4 dang4,
    适当 shi4 dang4, 曾经 ceng2 jing1, 似乎 si4 hu1, 教书 jiao1 shu1, 降低 jiang4 di1, 投降 tou2 xiang2, 模样 mu2 yang4,
    模式 mo2 shi4, 重庆 chong2 qing4, 厦门 xia4 men2, 大夫 dai4 fu5, 朝阳 chao2 yang2, 率先 shuai4 xian1,
    效率 xiao4 lv4, 头发 tou2 fa5, 发型 fa4 xing2, 结果 jie2 guo3, 结实 jie1 shi5, 看家 kan1 jia1, 一会儿 yi1 hui4 er5,
    待会儿 dai1 hui4 er5, 会儿 hui4 er5, 哪里 na3 li5, 那里 na4 li5, 这里 zhe4 li5, 对不起 dui4 bu5 qi3, 了不起 liao3 bu5 qi3,
    看不起 kan4 bu5 qi3, 来不及 lai2 bu5 ji2, 用不着 yong4 bu5 zhao2, 舍不得 she3 bu5 de2, 怪不得 guai4 bu5 de2,
    恨不得 hen4 bu5 de2, 受不了 shou4 bu5 liao3, 巴不得 ba1 bu5 de2, 犯不着 fan4 bu5 zhao2, 睡不着 shui4 bu5 zhao2,
    落差 luo4 cha1, 温差 wen1 cha1, 反差 fan3 cha1, 级差 ji2 cha1, 高差 gao1 cha1, 逆差 ni4 cha1, 顺差 shun4 cha1,
    方差 fang1 cha1, 时差 shi2 cha1, 色差 se4 cha1, 价差 jia4 cha1, 利差 li4 cha1, 偏差 pian1 cha1, 差距 cha1 ju4,
    肚子 du4 zi5, 拉肚子 la1 du4 zi5, 质朴 zhi4 pu3, 古朴 gu3 pu3, 简朴 jian3 pu3, 纯朴 chun2 pu3, 薄膜 bao2 mo2,
    何曾 he2 ceng2, 教学 jiao4 xue2, 检察长 jian3 cha2 zhang3, 一点儿 yi1 dian3 er5, 有点儿 you3 dian3 er5,
    差点儿 cha4 dian3 er5, 长满 zhang3 man3, 长高 zhang3 gao1, 长成 zhang3 cheng2, 长出 zhang3 chu1, 长胖 zhang3 pang4,
    射中 she4 zhong4, 刺中 ci4 zhong4, 选中 xuan3 zhong4, 投中 tou2 zhong4, 猜中 cai1 zhong4, 相中 xiang1 zhong4,
    卷发 juan3 fa4, 长发 chang2 fa4, 短发 duan3 fa4, 黑发 hei1 fa4, 白发 bai2 fa4, 金发 jin1 fa4, 秀发 xiu4 fa4,
    染发 ran3 fa4, 烫发 tang4 fa4, 假发 jia3 fa4, 脱发 tuo1 fa4, 护发 hu4 fa4, 洗发 xi3 fa4, 洗发水 xi3 fa4 shui3,
    吹风机 chui1 feng1 ji1, 冲床 chong4 chuang2, 尽可能 jin3 ke3 neng2, 尽早 jin3 zao3, 尽快 jin3 kuai4, 尽量 jin3 liang4,
    着火 zhao2 huo3, 着凉 zhao2 liang2, 着迷 zhao2 mi2, 睡着 shui4 zhao2, 找着 zhao3 zhao2, 穿着 chuan1 zhuo2,
    衣着 yi1 zhuo2, 身着 shen1 zhuo2, 着装 zhuo2 zhuang1, 着实 zhuo2 shi2, 着想 zhuo2 xiang3, 着陆 zhuo2 lu4,
    没着没落 mei2 zhao2 mei2 luo4, 蒙古 meng3 gu3, 蒙古包 meng3 gu3 bao1, 内蒙古 nei4 meng3 gu3, 朝鲜 chao2 xian3,
    西藏 xi1 zang4, 秘鲁 bi4 lu3, 柏林 bo2 lin2, 标识 biao1 shi2, 供给 gong1 ji3, 给予 ji3 yu3, 自给自足 zi4 ji3 zi4 zu2,
    宝藏 bao3 zang4, 系鞋带 ji4 xie2 dai4, 系领带 ji4 ling3 dai4, 系上 ji4 shang4, 系好 ji4 hao3, 系紧 ji4 jin3,
    没空 mei2 kong4, 抽空 chou1 kong4, 空位 kong4 wei4, 空闲 kong4 xian2, 填空 tian2 kong4, 空格 kong4 ge2,
    请假 qing3 jia4, 病假 bing4 jia4, 年假 nian2 jia4, 产假 chan3 jia4, 婚假 hun1 jia4, 休假 xiu1 jia4, 调休 tiao2 xiu1,
    难民 nan4 min2, 难友 nan4 you3, 空难 kong1 nan4, 海难 hai3 nan4, 教导 jiao4 dao3, 请教 qing3 jiao4, 教练 jiao4 lian4,
    要强 yao4 qiang2, 称职 chen4 zhi2, 称心 chen4 xin1, 对称 dui4 chen4, 匀称 yun2 chen4, 相称 xiang1 chen4,
    倔强 jue2 jiang4, 强迫 qiang3 po4, 强词夺理 qiang3 ci2 duo2 li3, 强人所难 qiang3 ren2 suo3 nan2,
    当天 dang4 tian1, 当年 dang1 nian2, 当晚 dang4 wan3, 便当 bian4 dang1, 正当 zheng4 dang4, 停当 ting2 dang5,
    中肯 zhong4 ken3, 中意 zhong4 yi4, 中签 zhong4 qian1, 看中 kan4 zhong4, 好客 hao4 ke4, 喜好 xi3 hao4,
    单于 chan2 yu2, 尉迟 yu4 chi2, 澹台 tan2 tai2, 万俟 mo4 qi2, 六安 lu4 an1, 台州 tai1 zhou1, 蚌埠 beng4 bu4,
    丽水 li2 shui3, 东阿 dong1 e1, 涡阳 guo1 yang2, 铅山 yan2 shan1, 洪洞 hong2 tong2, 繁峙 fan2 shi4, 番禺 pan1 yu2,
    燕山 yan1 shan1, 吐蕃 tu3 bo1, 龟兹 qiu1 ci2, 大宛 da4 yuan1, 月氏 yue4 zhi1, 可汗 ke4 han2, 冒顿 mo4 du2,
    阿胶 e1 jiao1, 阿房宫 e1 pang2 gong1, 阿弥陀佛 e1 mi2 tuo2 fo2, 咖喱 ga1 li2, 给力 gei3 li4, 供不应求 gong1 bu4 ying4 qiu2,
    处女座 chu3 nv3 zuo4, 处方药 chu3 fang1 yao4, 几乎 ji1 hu1, 血淋淋 xie3 lin2 lin2, 流血 liu2 xue4, 吐血 tu4 xue4,
    献血 xian4 xue4, 抽血 chou1 xie3, 验血 yan4 xie3, 出血 chu1 xue4, 转圈 zhuan4 quan1, 转圈圈 zhuan4 quan1 quan1,
    转悠 zhuan4 you5, 打转 da3 zhuan4, 转速 zhuan4 su4, 自转 zi4 zhuan4, 公转 gong1 zhuan4, 旋转 xuan2 zhuan3,
    转载 zhuan3 zai3, 刊载 kan1 zai3, 登载 deng1 zai3, 连载 lian2 zai3, 满载 man3 zai4, 超载 chao1 zai4, 卸载 xie4 zai4,
    上载 shang4 zai4, 装载 zhuang1 zai4, 搭载 da1 zai4, 车载 che1 zai4, 空调 kong1 tiao2, 调料 tiao2 liao4,
    调味 tiao2 wei4, 调小 tiao2 xiao3, 调大 tiao2 da4, 调高 tiao2 gao1, 调低 tiao2 di1, 调成 tiao2 cheng2, 上调 shang4 tiao2,
    下调 xia4 tiao2, 微调 wei1 tiao2, 可调 ke3 tiao2, 调解 tiao2 jie3, 调频 tiao2 pin2, 外调 wai4 diao4, 抽调 chou1 diao4,
    论调 lun4 diao4, 步调 bu4 diao4, 数数 shu3 shu4, 数落 shu3 luo5, 数不清 shu3 bu5 qing1, 倒数 dao4 shu3,
    重播 chong2 bo1, 重温 chong2 wen1, 重组 chong2 zu3, 重置 chong2 zhi4, 重塑 chong2 su4, 重装 chong2 zhuang1,
    重写 chong2 xie3, 重返 chong2 fan3, 重审 chong2 shen3, 重版 chong2 ban3, 重名 chong2 ming2, 重影 chong2 ying3,
    乐谱 yue4 pu3, 乐理 yue4 li3, 乐高 le4 gao1, 乐园 le4 yuan2, 行程 xing2 cheng2, 银行卡 yin2 hang2 ka3,
    同行 tong2 hang2, 外行 wai4 hang2, 跨行 kua4 hang2, 换行 huan4 hang2, 代码行 dai4 ma3 hang2, 行距 hang2 ju4,
    涨价 zhang3 jia4, 涨停 zhang3 ting2, 扎针 zha1 zhen1, 扎辫子 za1 bian4 zi5, 包扎 bao1 za1, 挣扎 zheng1 zha2,
    挣钱 zheng4 qian2, 炸鸡 zha2 ji1, 油炸 you2 zha2, 炸酱面 zha2 jiang4 mian4, 炸薯条 zha2 shu3 tiao2, 薯条 shu3 tiao2,
    晕车 yun4 che1, 晕船 yun4 chuan2, 晕机 yun4 ji1, 晕倒 yun1 dao3, 头晕 tou2 yun1, 削皮 xiao1 pi2, 削减 xue1 jian3,
    剥削 bo1 xue1, 剥皮 bao1 pi2, 露馅 lou4 xian4, 露一手 lou4 yi4 shou3, 露营 lu4 ying2, 暴露 bao4 lu4,
    粘贴 zhan1 tie1, 粘上 zhan1 shang4, 粘稠 nian2 chou2, 粘液 nian2 ye4, 着力 zhuo2 li4, 和面 huo2 mian4,
    暖和 nuan3 huo5, 附和 fu4 he4, 搅和 jiao3 huo5, 掺和 chan1 huo5, 和泥 huo2 ni2, 应届 ying1 jie4, 应届生 ying1 jie4 sheng1,
    答应 da1 ying5, 应付 ying4 fu5, 供应商 gong1 ying4 shang1, 供应 gong1 ying4, 反应 fan3 ying4, 卡住 qia3 zhu4,
    卡壳 qia3 ke2, 关卡 guan1 qia3, 发卡 fa4 qia3, 量体温 liang2 ti3 wen1, 量血压 liang2 xue4 ya1, 丈量 zhang4 liang2,
    思量 si1 liang5, 掂量 dian1 liang5, 打量 da3 liang5, 奔着 ben4 zhe5, 投奔 tou2 ben4, 奔头 ben4 tou5,
    大伯 da4 bo2, 哈达 ha3 da2, 哈巴狗 ha3 ba1 gou3, 绿林 lu4 lin2, 鸭绿江 ya1 lu4 jiang1, 执拗 zhi2 niu4,
    落枕 lao4 zhen3, 丢三落四 diu1 san1 la4 si4, 落下来 luo4 xia4 lai2, 宁愿 ning4 yuan4, 宁可 ning4 ke3, 宁肯 ning4 ken3,
    还款 huan2 kuan3, 还债 huan2 zhai4, 还贷 huan2 dai4, 还钱 huan2 qian2, 麻将 ma2 jiang4, 施舍 shi1 she3, 美发 mei3 fa4, 理发 li3 fa4,
    护发素 hu4 fa4 su4, 好静 hao4 jing4, 好动 hao4 dong4, 好强 hao4 qiang2, 倒进 dao4 jin4, 倒出 dao4 chu1, 倒入 dao4 ru4, 倒掉 dao4 diao4,
    做得到 zuo4 de5 dao4, 办得到 ban4 de5 dao4, 想得到 xiang3 de5 dao4, 看得到 kan4 de5 dao4, 找得到 zhao3 de5 dao4, 买得到 mai3 de5 dao4,
    听得到 ting1 de5 dao4, 太重 tai4 zhong4, 很重 hen3 zhong4, 重了 zhong4 le5, 撒谎 sa1 huang3, 撒娇 sa1 jiao1, 撒手 sa1 shou3, 撒网 sa1 wang3,
    中了 zhong4 le5, 为人民服务 wei4 ren2 min2 fu2 wu4, 为人民 wei4 ren2 min2, 息事宁人 xi1 shi4 ning2 ren2, 娘儿俩 niang2 er5 lia3, 爷儿俩 ye2 er5 lia3, 单杠 dan1 gang4, 行不通 xing2 bu5 tong1,
    校准 jiao4 zhun3, 校验 jiao4 yan4, 校正 jiao4 zheng4, 唯一 wei2 yi1, 胳膊 ge1 bo5, 胡同 hu2 tong4, 冒号 mao4 hao4,
    好吃懒做 hao4 chi1 lan3 zuo4, 参差 cen1 ci1, 参差不齐 cen1 ci1 bu4 qi2, 曾祖父 zeng1 zu3 fu4, 曾祖母 zeng1 zu3 mu3,
    曾孙 zeng1 sun1, 曾国藩 zeng1 guo2 fan1, 曾巩 zeng1 gong3, 曾子 zeng1 zi3, 仇英 qiu2 ying1, 单雄信 shan4 xiong2 xin4,
    解数 xie4 shu4, 解元 jie4 yuan2, 押解 ya1 jie4, 的确 di2 que4, 打的 da3 di1, 的士 di2 shi4, 目的 mu4 di4,
    有的放矢 you3 di4 fang4 shi3, 众矢之的 zhong4 shi3 zhi1 di4, 大城县 dai4 cheng2 xian4, 角逐 jue2 zhu2, 配角 pei4 jue2,
    丑角 chou3 jue2, 隔壁 ge2 bi4, 咱们 zan2 men5, 症结 zheng1 jie2, 结巴 jie1 ba5, 结结巴巴 jie1 jie1 ba1 ba1, 开花结果 kai1 hua1 jie1 guo3,
    呱呱坠地 gu1 gu1 zhui4 di4, 悄然 qiao3 ran2, 悄无声息 qiao3 wu2 sheng1 xi1, 哄堂大笑 hong1 tang2 da4 xiao4,
    起哄 qi3 hong4, 哄骗 hong3 pian4, 喷香 pen4 xiang1, 供认 gong4 ren4, 提防 di1 fang5, 提溜 di1 liu5, 匕首 bi3 shou3,
    一哄而散 yi1 hong4 er2 san4, 心宽体胖 xin1 kuan1 ti3 pan2, 否极泰来 pi3 ji2 tai4 lai2, 数见不鲜 shuo4 jian4 bu4 xian1,
    屡见不鲜 lv3 jian4 bu4 xian1, 鲜为人知 xian3 wei2 ren2 zhi1, 为人处世 wei2 ren2 chu3 shi4, 为难 wei2 nan2, 为期 wei2 qi1,
    为主 wei2 zhu3, 为止 wei2 zhi3, 为首 wei2 shou3, 列为 lie4 wei2, 最为 zui4 wei2, 评为 ping2 wei2, 变为 bian4 wei2,
    名为 ming2 wei2, 身为 shen1 wei2, 沦为 lun2 wei2, 尤为 you2 wei2, 称之为 cheng1 zhi1 wei2, 华为 hua2 wei2, 为重 wei2 zhong4,
    为准 wei2 zhun3, 为由 wei2 you2, 选为 xuan3 wei2, 誉为 yu4 wei2, 化为 hua4 wei2, 设为 she4 wei2, 译为 yi4 wei2,
    人为 ren2 wei2, 行为 xing2 wei2, 无所作为 wu2 suo3 zuo4 wei2, 何为 he2 wei2, 为啥 wei4 sha2, 为此 wei4 ci3, 为何 wei4 he2
    """
)
# The reading of a character that stands alone as a word; inside words the dictionary decides.
OWN_CHARACTERS = _table(
    """
    得 de5, 地 di4, 的 de5, 着 zhe5, 了 le5, 都 dou1, 还 hai2, 嗯 en5, 哦 o5, 啊 a5, 呢 ne5, 吗 ma5, 吧 ba5, 么 me5, 嘛 ma5,
    呀 ya5, 哇 wa5, 啦 la5, 哪 na3, 谁 shei2, 这 zhe4, 那 na4, 给 gei3, 没 mei2, 会 hui4, 为 wei4, 行 xing2, 长 chang2,
    重 zhong4, 好 hao3, 大 da4, 只 zhi3, 种 zhong3, 数 shu4, 量 liang4, 干 gan4, 系 xi4, 血 xie3, 熟 shu2, 薄 bao2, 露 lu4,
    佛 fo2, 似 si4, 傀 kui3, 剌 la4, 艮 gen4, 哗 hua2, 龈 yin2, 町 ting3, 靓 liang4, 抡 lun1, 囤 tun2, 杓 shao2, 炔 que1,
    跄 qiang4, 逮 dai3, 教 jiao1, 累 lei4, 切 qie1, 吐 tu4, 什 shi2, 勒 le4, 脏 zang1, 晕 yun1, 少 shao3, 落 luo4, 背 bei4,
    要 yao4, 空 kong1, 散 san4, 卷 juan3, 弹 tan2, 盛 sheng4, 涨 zhang3, 转 zhuan4, 倒 dao4, 将 jiang1, 与 yu3, 应 ying4,
    曾 ceng2, 舍 she3, 率 shuai4, 剥 bao1, 撒 sa3, 挨 ai2, 削 xiao1, 挑 tiao1, 奔 ben4, 炸 zha4, 扎 zha1, 钉 ding4, 假 jia3, 难 nan2, 藏 cang2, 钻 zuan1, 横 heng2, 正 zheng4
    """
)
# Said like this alone, whatever the network thinks of the sentence: the other reading lives in fixed words.
SETTLED = frozenset(
    "得都给累教要没什勒与空好少大脏难相正炸扎弹铺挑藏钻传将舍率剥撒挨削粘塞供泡喝尽薄汗饮劲仇吓挣闷钉斗更弄臭答解几肚糊磨夹淋"
)
# What the last of three characters is read behind these: 点不着, 摸得着, 忘不了, 受得了.
THIRD_OF_THREE = {"不着": "zhao2", "得着": "zhao2", "不了": "liao3", "得了": "liao3"}
# Words in which 儿 is a syllable of its own ("child"), not the r that colours the syllable before it.
FULL_ER = frozenset(
    _words("""
    儿子 女儿 儿童 儿科 儿歌 儿女 儿孙 婴儿 幼儿 孤儿 少儿 胎儿 健儿 宠儿 新生儿 混血儿 育儿 托儿所 幼儿园 男儿 侄儿
    孙儿 儿媳 儿戏 小儿 产儿 弃儿 患儿 早产儿 儿时 幼儿教育 哪吒 乳儿 生儿育女 弄潮儿 幸运儿
    """)
)
# Surnames with a reading of their own, and what may follow or precede a surname that stands for a person.
SURNAMES = _table(
    """
    曾 zeng1, 单 shan4, 仇 qiu2, 任 ren2, 区 ou1, 解 xie4, 华 hua4, 朴 piao2, 查 zha1, 盖 ge3, 翟 zhai2, 缪 miao4, 覃 qin2,
    宁 ning4, 应 ying1, 燕 yan1, 葛 ge3, 员 yun4, 折 she2, 繁 po2, 洗 xian3, 尉 wei4, 牟 mou4, 种 chong2, 乐 yue4, 纪 ji3,
    万 wan4, 冼 xian3, 逄 pang2, 召 shao4, 晟 cheng2
    """
)
TITLES = tuple(
    _words("""
    先生 女士 小姐 老师 总 经理 医生 教授 同学 院长 校长 主任 律师 师傅 大爷 大妈 阿姨 叔叔 警官 局长 部长 书记 博士
    大夫 某 氏 家 工 队长 班长 主席 董事长 秘书 太太 夫人 同志 将军 导演 编辑 护士 姐 哥 导
    """)
)
# Numbers and pronouns before a measure, measures with several readings, and verbs that stand with their twin (量一量).
COUNT_READINGS = {
    "一": "yi1", "两": "liang3", "三": "san1", "四": "si4", "五": "wu3", "六": "liu4", "七": "qi1", "八": "ba1", "九": "jiu3",
    "十": "shi2", "几": "ji3", "每": "mei3", "半": "ban4", "百": "bai3", "这": "zhe4", "那": "na4", "哪": "na3",
}  # fmt: skip
MEASURE_READINGS = {"行": "hang2", "只": "zhi1", "宿": "xiu3", "重": "chong2", "种": "zhong3", "载": "zai3", "处": "chu4",
                     "场": "chang3", "间": "jian1", "曲": "qu3", "卷": "juan4", "发": "fa1"}  # fmt: skip
TWINS = {"量": "liang2", "数": "shu3", "调": "tiao2", "转": "zhuan4", "卷": "juan3", "切": "qie1", "挑": "tiao1", "称": "cheng1",
          "散": "san4", "倒": "dao4", "种": "zhong4", "背": "bei4", "教": "jiao1", "猜": "cai1"}  # fmt: skip
# What an event of 一场 (chang2) is; what one does for others, so that 为 is wei4.
WEATHER = (
    "雨", "雪", "风", "病", "梦", "空", "灾", "火", "战", "仗", "官司", "误会", "噩", "浩劫", "革命", "暴", "虚惊", "争", "架",
)  # fmt: skip
DONE_FOR = (
    "服务", "争", "准备", "提供", "加油", "考虑", "祝", "高兴", "担心", "骄傲", "自豪", "牺牲", "感到", "带来", "创造", "唱",
    "写", "买", "设计", "举办", "做", "打", "谋", "着想", "而",
)  # fmt: skip
