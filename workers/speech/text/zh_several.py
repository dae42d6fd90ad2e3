"""Characters with several readings that stand outside fixed words. Data; runs in the speech worker.

The first reading is the commonest. Readings that live in fixed words only (参 in 参差, 大 in 大夫) are the
dictionary's business and not listed. Source: Xiandai Hanyu Cidian, 7th edition; what the reading network was not
taught (系, 会, 觉 and others) stands in UNTAUGHT, where words and rules decide alone.
"""

from __future__ import annotations


def _table(text: str) -> dict[str, tuple[str, ...]]:
    return {entry[0]: tuple(entry[1:].split(",")) for entry in text.split()}


SEVERAL = _table(
    """
    长chang2,zhang3 行xing2,hang2 重zhong4,chong2 乐le4,yue4 了le5,liao3 得de5,de2,dei3 还hai2,huan2 为wei4,wei2
    数shu4,shu3 调diao4,tiao2 处chu4,chu3 差cha4,cha1 间jian1,jian4 将jiang1,jiang4 曾ceng2,zeng1 传chuan2,zhuan4
    弹tan2,dan4 当dang1,dang4 倒dao4,dao3 都dou1,du1 给gei3,ji3 好hao3,hao4 假jia3,jia4 卷juan3,juan4 量liang4,liang2
    难nan2,nan4 铺pu1,pu4 曲qu3,qu1 散san4,san3 少shao3,shao4 舍she4,she3 盛sheng4,cheng2 宿su4,xiu3
    挑tiao1,tiao3 吐tu4,tu3 相xiang1,xiang4 兴xing1,xing4 应ying1,ying4 与yu3,yu4 载zai4,zai3 涨zhang3,zhang4
    只zhi3,zhi1 种zhong3,zhong4 转zhuan3,zhuan4 钻zuan1,zuan4 藏cang2,zang4 中zhong1,zhong4 要yao4,yao1 泊bo2,po1
    晕yun1,yun4 没mei2,mo4 累lei4,lei3 横heng2,heng4 背bei4,bei1 冠guan1,guan4 干gan4,gan1 划hua4,hua2 教jiao1,jiao4
    尽jin4,jin3 角jiao3,jue2 供gong1,gong4 创chuang4,chuang1 率lv4,shuai4 扎zha1,za1 奔ben1,ben4 恶e4,wu4
    丧sang4,sang1 磨mo2,mo4 薄bao2,bo2 朴pu3,piao2 燕yan4,yan1 汗han4,han2 澄cheng2,deng4 涡wo1,guo1 炸zha4,zha2
    夹jia1,jia2 脏zang1,zang4 笼long2,long3 饮yin3,yin4 泡pao4,pao1 坊fang1,fang2 荷he2,he4 厦sha4,xia4 佣yong1,yong4
    爪zhua3,zhao3 缝feng4,feng2 圩wei2,xu1 肚du4,du3 辟pi4,bi4 翘qiao4,qiao2 剥bo1,bao1 撒sa1,sa3 露lu4,lou4
    劲jin4,jing4 扒pa2,ba1 仇chou2,qiu2 喝he1,he4 幢zhuang4,chuang2 撮cuo1,zuo3 粘zhan1,nian2 漂piao1,piao4,piao3
    吓xia4,he4 挣zheng4,zheng1 闷men4,men1 哄hong3,hong1,hong4 挨ai1,ai2 淋lin2,lin4 咽yan4,yan1,ye4 钉ding1,ding4
    豁huo4,huo1 蔓man4,wan4 撇pie3,pie1 拗ao4,niu4 膀bang3,pang2 褪tui4,tun4 悄qiao1,qiao3 扛kang2,gang1 刹sha1,cha4
    呛qiang1,qiang4 轧zha2,ya4 囤tun2,dun4 隽juan4,jun4 蒙meng2,meng3,meng1 降jiang4,xiang2 校xiao4,jiao4 斗dou4,dou3
    更geng4,geng1 观guan1,guan4 任ren4,ren2 弄nong4,long4 柏bai3,bo2 句ju4,gou1 秘mi4,bi4 鲜xian1,xian3 杆gan1,gan3
    监jian1,jian4 贾jia3,gu3 涌yong3,chong1 臭chou4,xiu4 仔zi3,zai3 削xue1,xiao1 畜chu4,xu4 莎sha1,suo1 塞sai1,se4,sai4
    答da2,da1 葛ge2,ge3 糊hu2,hu4 姥lao3,mu3 蚌beng4,bang4 蔚wei4,yu4 卜bu3,bo5 椎zhui1,chui2 伺si4,ci4
    攒zan3,cuan2 缪mou2,miu4 肖xiao1,xiao4 茄qie2,jia1 镐gao3,hao4 阙que4,que1 莘shen1,xin1 阆lang4,lang2 翟zhai2,di2
    茜qian4,xi1 俟si4,qi2 覃tan2,qin2 晟sheng4,cheng2 媛yuan4,yuan2 琢zhuo2,zuo2 煞sha1,sha4 擂lei4,lei2 揣chuai1,chuai3
    几ji3,ji1 济ji4,ji3 化hua4,hua1 片pian4,pian1 正zheng4,zheng1 解jie3,xie4 石shi2,dan4 掺chan1,can4 拽zhuai4,zhuai1
    帖tie3,tie1,tie4 杠gang4,gang1 掖ye4,ye1 耶ye1,ye2 仆pu2,pu1 勒le4,lei1 炮pao4,bao1
    """
)
# Several readings that the network does not know.
UNTAUGHT = _table(
    """
    系xi4,ji4 会hui4,kuai4 觉jue2,jiao4 着zhe5,zhao2,zhuo2 发fa1,fa4 落luo4,la4 强qiang2,qiang3,jiang4 朝chao2,zhao1
    宁ning2,ning4 奇qi2,ji1 似si4,shi4 血xue4,xie3 空kong1,kong4 便bian4,pian2 冲chong1,chong4 分fen1,fen4 别bie2,bie4
    号hao4,hao2 和he2,he4,huo2 圈quan1,juan4 埋mai2,man2 扇shan4,shan1 折zhe2,she2,zhe1 担dan1,dan4 禁jin4,jin1
    称cheng1,chen4 结jie2,jie1 看kan4,kan1 单dan1,shan4 华hua2,hua4 占zhan4,zhan1 省sheng3,xing3 说shuo1,shui4
    卡ka3,qia3 叉cha1,cha4 模mo2,mu2 壳ke2,qiao4 屏ping2,bing3 嚼jiao2,jue2 把ba3,ba4 钥yao4,yue4 切qie1,qie4 泥ni2,ni4 旋xuan2,xuan4
    """
)
# Untaught characters that are often read wrong where they stand alone.
DOUBTFUL_ALONE = frozenset("系落朝折扇担冲圈卡叉禁泥旋")
# Words that are two words, each with its reading; the other one is offered.
DOUBTFUL_WORDS = dict(
    entry.split(" ", 1)
    for entry in """
    朝阳 zhao1 yang2, 一行 yi1 xing2, 当天 dang1 tian1, 大夫 da4 fu1, 长发 zhang3 fa4, 重担 zhong4 dan4, 好吃 hao4 chi1,
    转动 zhuan4 dong4, 调配 diao4 pei4, 中的 zhong4 di4, 倒数 dao3 shu3, 干事 gan1 shi4, 分子 fen4 zi3, 好学 hao3 xue2,
    地道 di4 dao4, 便当 bian4 dang4, 校对 xiao4 dui4, 教学 jiao1 xue2, 行将 hang2 jiang1, 省亲 sheng3 qin1, 还愿 hai2 yuan4
    """.replace("\n", " ")
    .strip()
    .split(",")
    for entry in [entry.strip()]
)
