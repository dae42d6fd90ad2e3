"""Common Chinese words with a character of several readings, beyond zh_own.py. Data; runs in the speech worker.

Source: Xiandai Hanyu Cidian, 7th edition.
"""

from __future__ import annotations


def _table(text: str) -> dict[str, str]:
    """`word pin1 yin1, word pin1 yin1` by word."""
    entries = (entry.split() for entry in text.replace("\n", " ").split(",") if entry.strip())
    return {word: " ".join(syllables) for word, *syllables in entries}


COMMON_WORDS = _table(
    """
    舍不得 she3 bu5 de5, 怪不得 guai4 bu5 de5, 恨不得 hen4 bu5 de5, 巴不得 ba1 bu5 de5, 舍得 she3 de5, 顾不得 gu4 bu5 de5,
    白蛇传 bai2 she2 zhuan4, 水浒传 shui3 hu3 zhuan4, 左传 zuo3 zhuan4, 外传 wai4 zhuan4, 自传 zi4 zhuan4,
    舍己救人 she3 ji3 jiu4 ren2, 舍己为人 she3 ji3 wei4 ren2, 涨红 zhang4 hong2, 涨得通红 zhang4 de5 tong1 hong2,
    薄荷 bo4 he5, 薄荷糖 bo4 he5 tang2, 称身 chen4 shen1, 称意 chen4 yi4, 称体 chen4 ti3, 豆腐坊 dou4 fu5 fang2, 油坊 you2 fang2,
    磨坊 mo4 fang2, 染坊 ran3 fang2, 作坊 zuo1 fang5, 粉坊 fen3 fang2, 份内 fen4 nei4, 分内 fen4 nei4, 分外 fen4 wai4,
    和面 huo2 mian4, 宁死不降 ning4 si3 bu4 xiang2, 诈降 zha4 xiang2, 劝降 quan4 xiang2, 受降 shou4 xiang2, 归降 gui1 xiang2, 降服 xiang2 fu2, 降伏 xiang2 fu2,
    结满 jie1 man3, 结出 jie1 chu1, 结了果 jie1 le5 guo3, 结果子 jie1 guo3 zi5, 结果实 jie1 guo3 shi2, 禁穿 jin1 chuan1, 禁用 jin4 yong4,
    禁得住 jin1 de5 zhu4, 禁不起 jin1 bu5 qi3, 禁得起 jin1 de5 qi3, 看门 kan1 men2, 看大门 kan1 da4 men2, 看护 kan1 hu4,
    看押 kan1 ya1, 看管 kan1 guan3, 果实累累 guo3 shi2 lei2 lei2, 硕果累累 shuo4 guo3 lei2 lei2, 伤痕累累 shang1 hen2 lei3 lei3, 累累 lei3 lei3,
    猪圈 zhu1 juan4, 羊圈 yang2 juan4, 牛圈 niu2 juan4, 马圈 ma3 juan4, 圈养 juan4 yang3, 踏实 ta1 shi5, 踏踏实实 ta1 ta1 shi2 shi2,
    旋风 xuan4 feng1, 连属 lian2 zhu3, 属望 zhu3 wang4, 折本 she2 ben3, 折秤 she2 cheng4,
    扇风 shan1 feng1, 扇动 shan1 dong4, 扇扇子 shan1 shan4 zi5, 扇耳光 shan1 er3 guang1, 冲劲 chong4 jin4, 数着 shu3 zhe5, 倒杯 dao4 bei1, 说话很冲 shuo1 hua4 hen3 chong4,
    分量 fen4 liang4, 分寸 fen4 cun5, 差点 cha4 dian3, 差劲 cha4 jin4, 差遣 chai1 qian3, 邮差 you2 chai1, 公差 gong1 chai1, 鼓鼓囊囊 gu3 gu5 nang1 nang1,
    散架 san3 jia4, 松散 song1 san3, 懒散 lan3 san3, 散装 san3 zhuang1, 闲散 xian2 san3, 散漫 san3 man4, 胸脯 xiong1 pu2, 果脯 guo3 fu3,
    涨潮 zhang3 chao2, 泡涨 pao4 zhang4, 头昏脑涨 tou2 hun1 nao3 zhang4, 种地 zhong4 di4, 种田 zhong4 tian2, 种树 zhong4 shu4, 种花 zhong4 hua1, 种菜 zhong4 cai4,
    落色 lao4 shai4, 落架 luo4 jia4, 色子 shai3 zi5, 掉色 diao4 shai3, 露面 lou4 mian4, 露怯 lou4 qie4, 露脸 lou4 lian3,
    倒车 dao4 che1, 倒影 dao4 ying3, 倒水 dao4 shui3, 倒茶 dao4 cha2, 倒霉 dao3 mei2, 倒卖 dao3 mai4, 倒腾 dao3 teng5, 倒退 dao4 tui4, 反倒 fan3 dao4,
    背包 bei1 bao1, 背带 bei1 dai4, 背负 bei1 fu4, 背黑锅 bei1 hei1 guo1, 背课文 bei4 ke4 wen2, 背单词 bei4 dan1 ci2, 拓本 ta4 ben3, 落拓 luo4 tuo4,
    号叫 hao2 jiao4, 号哭 hao2 ku1, 哀号 ai1 hao2, 怒号 nu4 hao2, 横财 heng4 cai2, 横祸 heng4 huo4, 蛮横 man2 heng4, 专横 zhuan1 heng4, 晃眼 huang3 yan3,
    摇头晃脑 yao2 tou2 huang4 nao3, 虚晃 xu1 huang3, 发横财 fa1 heng4 cai2, 钻头 zuan4 tou2, 钻井 zuan1 jing3, 电钻 dian4 zuan4, 钻孔 zuan1 kong3,
    鲜有 xian3 you3, 鲜见 xian3 jian4, 朝鲜族 chao2 xian3 zu2, 挑拨 tiao3 bo1, 挑灯 tiao3 deng1, 挑逗 tiao3 dou4, 挑水 tiao1 shui3, 挑食 tiao1 shi2,
    饮马 yin4 ma3, 咽气 yan4 qi4, 呜咽 wu1 ye4, 狼吞虎咽 lang2 tun1 hu3 yan4, 殷切 yin1 qie4, 载歌载舞 zai4 ge1 zai4 wu3, 千载难逢 qian1 zai3 nan2 feng2,
    行当 hang2 dang5, 干一行爱一行 gan4 yi1 hang2 ai4 yi1 hang2, 朝九晚五 zhao1 jiu3 wan3 wu3, 应声 ying4 sheng1, 朴树 pu3 shu4,
    没着儿 mei2 zhao1 er5, 亲率 qin1 shuai4, 率众 shuai4 zhong4, 率军 shuai4 jun1,
    加长 jia1 chang2, 边长 bian1 chang2, 长臂 chang2 bi4, 步长 bu4 chang2, 臂长 bi4 chang2, 等长 deng3 chang2, 片长 pian4 chang2,
    家长会 jia1 zhang3 hui4, 长老会 zhang3 lao3 hui4, 部长会议 bu4 zhang3 hui4 yi4, 军士长 jun1 shi4 zhang3, 着地 zhuo2 di4, 着床 zhuo2 chuang2, 弹着点 dan4 zhuo2 dian3,
    重灾区 zhong4 zai1 qu1, 减重 jian3 zhong4, 四重奏 si4 chong2 zou4, 重剑 zhong4 jian4, 重见 chong2 jian4, 重开 chong2 kai1, 重登 chong2 deng1,
    推重比 tui1 zhong4 bi3, 计重 ji4 zhong4, 重谢 zhong4 xie4, 重特大 zhong4 te4 da4, 最重 zui4 zhong4, 干重 gan1 zhong4, 支行 zhi1 hang2,
    分支行 fen1 zhi1 hang2, 该行 gai1 hang2, 世行 shi4 hang2, 亚行 ya4 hang2, 农发行 nong2 fa1 hang2, 代理行 dai4 li3 hang2, 琴行 qin2 hang2, 太行 tai4 hang2,
    同行者 tong2 xing2 zhe3, 外行星 wai4 xing2 xing1, 内行星 nei4 xing2 xing1, 取舍 qu3 she3, 割舍 ge1 she3, 舍命 she3 ming4, 舍身 she3 shen1,
    按倒 an4 dao3, 吹倒 chui1 dao3, 卷起 juan3 qi3, 卷进 juan3 jin4, 卷上 juan3 shang4, 卷筒 juan3 tong3, 卷积 juan3 ji1, 卷尾猴 juan3 wei3 hou2, 应交 ying1 jiao1,
    找乐 zhao3 le4, 爱乐 ai4 yue4, 乐声 yue4 sheng1, 差旅 chai1 lv3, 差旅费 chai1 lv3 fei4, 差速 cha1 su4, 夫差 fu1 chai1, 众将 zhong4 jiang4, 副将 fu4 jiang4,
    偏将 pian1 jiang4, 爱将 ai4 jiang4, 中郎将 zhong1 lang2 jiang4, 杨家将 yang2 jia1 jiang4, 天将 tian1 jiang4, 调酒 tiao2 jiu3, 调酒师 tiao2 jiu3 shi1,
    调速 tiao2 su4, 调速器 tiao2 su4 qi4, 调蓄 tiao2 xu4, 回调 hui2 tiao2, 调压 tiao2 ya1, 调减 tiao2 jian3, 调香 tiao2 xiang1, 调测 tiao2 ce4, 五斗 wu3 dou3, 八斗 ba1 dou3,
    还原剂 huan2 yuan2 ji4, 咽下 yan4 xia4, 似地 shi4 de5, 命丧 ming4 sang4, 干面 gan1 mian4, 曲酒 qu1 jiu3, 宁死 ning4 si3, 不得了 bu4 de2 liao3,
    睡着觉 shui4 zhe5 jiao4, 冲着 chong4 zhe5, 长队 chang2 dui4, 得要命 de5 yao4 ming4, 得要死 de5 yao4 si3, 得慌 de5 huang1, 排长队 pai2 chang2 dui4, 排起长队 pai2 qi3 chang2 dui4, 有借有还 you3 jie4 you3 huan2, 数羊 shu3 yang2, 双肩包 shuang1 jian1 bao1, 重重地 zhong4 zhong4 de5, 重重的 zhong4 zhong4 de5, 支着儿 zhi1 zhao1 er5, 什么 shen2 me5, 仿佛 fang3 fu2, 士大夫 shi4 da4 fu1, 脚踏实地 jiao3 ta4 shi2 di4,
    二十八宿 er4 shi2 ba1 xiu4, 五行八作 wu3 hang2 ba1 zuo1, 和牌 hu2 pai2, 和稀泥 huo4 xi1 ni2
    """
)
