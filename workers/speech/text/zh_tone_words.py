"""Chinese words whose last syllable has lost its tone, and look-alikes that kept it. Data; speech worker.

Source: the entries that Xiandai Hanyu Cidian (7th edition) spells with a neutral second syllable, as far as they
are common in speech.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Second syllables that are spoken without tone although each character has one.
NEUTRAL_SECOND = _words(
    """
    东西 朋友 时候 喜欢 告诉 先生 认识 知识 明白 漂亮 便宜 意思 事情 地方 衣服 眼睛 耳朵 头发 学生
    关系 消息 故事 名字 部分 清楚 舒服 休息 打算 麻烦 客气 聪明 热闹 窗户 钥匙 豆腐 葡萄 玻璃 石头
    木头 舌头 骨头 馒头 枕头 罐头 念头 商量 收拾 招呼 打听 打扮 应付 照顾 答应 觉得 晓得 记得 懂得
    值得 舍得 我们 你们 他们 她们 它们 咱们 人们 什么 怎么 这么 那么 多么 这个 那个 哪个 几个 队伍
    行李 耽误 护士 大夫 丈夫 妻子 孩子 儿子 房子 车子 桌子 椅子 杯子 本子 鼻子 脖子 肚子 帽子 裙子
    裤子 鞋子 袜子 日子 样子 句子 面子 影子 院子 箱子 盒子 瓶子 盘子 筷子 勺子 刀子 叉子 梯子 屋子
    胖子 瘦子 嫂子 妹子 小伙子 老婆 姑娘 太太 爸爸 妈妈 哥哥 姐姐 弟弟 妹妹 爷爷 奶奶 叔叔 伯伯
    舅舅 姑姑 宝宝 娃娃 星星 谢谢 粮食 庄稼 力气 脾气 福气 运气 秀气 小气 口袋 胳膊 指甲 嘴巴 尾巴
    下巴 哑巴 巴掌 月亮 云彩 太阳 早上 晚上 暖和 凉快 结实 老实 踏实 实在 自在 厉害 马虎 糊涂 迷糊
    含糊 模糊 新鲜 规矩 讲究 将就 凑合 琢磨 比方 萝卜 黄瓜 蘑菇 芝麻 棉花 西瓜 冬瓜 南瓜 点心 烧饼
    月饼 包袱 铺盖 扫帚 扁担 风筝 灯笼 喇叭 胡琴 琵琶 師傅 师傅 木匠 铁匠 和尚 道士 秀才 状元 亲戚
    亲家 嫁妆 媳妇 寡妇 外甥 女婿 姑爷 少爷 老爷 奴才 委屈 冤枉 埋怨 抱怨 佩服 吩咐 嘱咐 称呼 吆喝
    咳嗽 哆嗦 嘀咕 唠叨 念叨 溜达 折腾 糟蹋 挖苦 挑剔 得罪 欺负
    去过 看过 受过 下过 出过 饿过
    """
)

# Words whose second syllable looks like a neutral one (子, 头, 来, doubled) and keeps its tone.
FULL_TONES = _words(
    """
    男子 女子 分子 原子 电子 量子 中子 质子 离子 因子 粒子 种子 君子 王子 公子 弟子 学子 莲子 瓜子
    石子 棋子 父子 母子 才子 游子 孔子 老子 孟子 庄子 天子 太子 皇子 亲子 核子 光子 算子 夫子 之子
    逆子 赤子 浪子 人人 天天 年年 月月 日日 家家 处处 时时 事事 件件 个个 样样 种种 步步 层层 条条
    常常 刚刚 渐渐 慢慢 好好 偏偏 仅仅 往往 默默 纷纷 频频 久久 大大 远远 深深 紧紧 轻轻 悄悄 静静
    早早 白白 高高 以上 以下 地上 天上 海上 网上 线上 线下 楼上 楼下 之上 之下 向上 向下 上下 天下
    手下 地下 陆上 江头 源头 镜头 街头 巨头 寡头 龙头 船头 笔头 猪头 牛头 分头 埋头 摇头 点头 回头
    低头 抬头 带头 山头 对头 将来 未来 从来 本来 原来 历来 后来 往来 由来 外来 以来 近来 向来
    过来人 目的 标的 的确 的士 得到 得分 得知 获得 取得 所得 赢得 夺得 心得 难得 求得 地球 地区
    土地 当地 各地 基地 过程 通过 超过 经过 不过 难过 路过 度过 了解 了不起 末了 除了 为了 着急
    着手 着陆 着重 沿着 不得了 脚踏实地 士大夫 太阳能 太阳系 太阳穴 太阳镜 大哥哥 谁们 图们 厦们 数数
    """
)
