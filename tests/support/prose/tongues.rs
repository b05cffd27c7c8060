//! The same in German and Chinese, from a smaller vocabulary.

use convogen::Draw;

/// The vocabulary of a language.
pub(crate) struct Tongue {
    things: &'static [&'static str],
    troubles: &'static [&'static str],
    plans: &'static [&'static str],
    places: &'static [&'static str],
    roles: &'static [&'static str],
    /// Lines with `{thing}`, `{trouble}`, `{plan}`, `{place}`, `{role}`.
    lines: &'static [&'static str],
    situations: &'static [&'static str],
    people: &'static [&'static str],
    intents: &'static [&'static str],
    starters: &'static [&'static str],
    secrets: &'static [&'static str],
}

/// The tongue that a prompt asks for; none for English.
pub(crate) fn asked_for(prompt: &str) -> Option<&'static Tongue> {
    let tongues =
        [(" in German,", &GERMAN), (" in German ", &GERMAN), (" in Chinese,", &CHINESE), (" in Chinese ", &CHINESE)];
    tongues.into_iter().find(|(words, _)| prompt.contains(words)).map(|(_, tongue)| tongue)
}

impl Tongue {
    fn fill(&self, forms: &[&'static str], draw: &mut Draw) -> String {
        let form = super::pick(draw, forms).to_owned();
        let slots = [
            ("{thing}", self.things),
            ("{trouble}", self.troubles),
            ("{plan}", self.plans),
            ("{place}", self.places),
            ("{role}", self.roles),
        ];
        slots.into_iter().fold(form, |text, (slot, words)| text.replacen(slot, super::pick(draw, words), 1))
    }

    /// A text for a key of a situation, or what might be said.
    pub(crate) fn text(&self, key: &str, draw: &mut Draw) -> String {
        let forms = match key {
            "situation" => self.situations,
            "persona" | "description" => self.people,
            "stance" | "goal" => self.intents,
            "conversation_starter" | "topic" => self.starters,
            "knowledge" => self.secrets,
            "type" => self.roles,
            _ => self.lines,
        };
        self.fill(forms, draw)
    }
}

static GERMAN: Tongue = Tongue {
    things: &[
        "der Dachbalken",
        "das Kassenbuch",
        "der Lieferwagen",
        "die Gästeliste",
        "der Wasserzähler",
        "das alte Klavier",
        "der Ersatzschlüssel",
        "die Gefriertruhe",
        "der Dienstplan",
        "die Standuhr",
    ],
    troubles: &[
        "ist seit dem Sturm verschwunden",
        "kostet doppelt so viel wie gedacht",
        "passt nicht durch die Tür",
        "riecht nach Rauch",
        "steckt noch beim Zoll",
        "wurde falsch bestellt",
        "ist über Nacht eingefroren",
        "gehört laut Vertrag jemand anderem",
    ],
    plans: &[
        "beim Lieferanten anrufen",
        "die Rechnung teilen",
        "noch einmal von vorn anfangen",
        "bis zur Prüfung schweigen",
        "heute Nacht hinfahren",
        "die Schlösser austauschen",
        "alles aufschreiben",
        "einen Tag später öffnen",
    ],
    places: &[
        "im Hafenbüro",
        "im Gemeindesaal",
        "in der Krankenhauskantine",
        "auf dem Fischmarkt",
        "in der Fahrradwerkstatt",
        "im Museumskeller",
    ],
    roles: &["Hebamme", "Notarin", "Försterin", "Busfahrerin", "Cellistin", "Schweißerin"],
    lines: &[
        "Hör mal, {thing} {trouble}, und wir reden hier über das Wetter.",
        "Ich würde lieber {plan}, bevor noch etwas passiert.",
        "Wer hat denn gesagt, dass wir {plan} müssen? Die {role} bestimmt nicht.",
        "Und was wird aus dem Rest, wenn {thing} {trouble}?",
        "Gestern {place} hat mir die {role} etwas ganz anderes erzählt.",
        "Na gut, dann lass uns {plan}, aber nicht ohne die {role}.",
        "Moment, {thing} {trouble}? Davon weiß ich ja gar nichts.",
        "Meine Schwester wollte auch immer {plan}, und am Ende war sie allein {place}.",
    ],
    situations: &[
        "An einem verregneten Abend sitzen ein paar Leute {place} zusammen, weil {thing} nicht mehr da ist. Die {role} möchte {plan}, die anderen sind dagegen.",
        "Kurz vor Feierabend stellt sich {place} heraus: {thing} {trouble}. Jemand muss {plan}, bevor die {role} zurückkommt.",
        "Niemand wollte heute {place} sein. Aber {thing} {trouble}, und ohne die {role} geht hier nichts weiter.",
    ],
    people: &[
        "Eine {role}, die {place} zu Hause ist.",
        "Eine frühere {role}, die gern {place} sitzt und alles sammelt.",
        "Eine junge {role} mit vielen Plänen und wenig Zeit.",
    ],
    intents: &["Möchte {plan} und dann endlich nach Hause.", "Will auf keinen Fall {plan}, schon gar nicht {place}."],
    starters: &[
        "Also, {thing} {trouble}. Wollen wir {plan}, oder hat jemand eine bessere Idee?",
        "Bevor wir {plan}: wer wusste davon, dass {thing} fehlt?",
    ],
    secrets: &[
        "Ein Umschlag mit Geldscheinen klebt hinter dem Kaminsims.",
        "Das Testament steckt zusammengerollt im Geigenkasten.",
    ],
};

static CHINESE: Tongue = Tongue {
    things: &[
        "那本账簿",
        "备用钥匙",
        "借来的货车",
        "旧钢琴",
        "水表",
        "客人名单",
        "冰柜",
        "排班表",
        "屋顶的横梁",
        "那幅壁画",
    ],
    troubles: &[
        "自从下雨以后就不见了",
        "比预算贵了一倍",
        "根本进不了门",
        "有一股烟味",
        "还卡在海关",
        "被人订错了颜色",
        "昨晚全冻住了",
        "合同上写着别人的名字",
    ],
    plans: &[
        "给供货商打电话",
        "平摊这笔钱",
        "从头再来一遍",
        "先等检查结束",
        "今晚就开车过去",
        "把锁都换掉",
        "一条一条写下来",
        "晚一天开门",
    ],
    places: &["码头办公室", "社区活动室", "医院食堂", "鱼市", "修车铺", "博物馆的地下室"],
    roles: &["护士", "公证员", "护林员", "公交司机", "电焊工", "图书管理员"],
    lines: &[
        "你们听我说，{thing}{trouble}，这可不是小事。",
        "我宁愿{plan}，也不想再等下去。",
        "谁说我们非得{plan}？那个{role}可没这么讲过。",
        "要是{thing}{trouble}，剩下的怎么办？",
        "昨天在{place}，{role}跟我讲的完全是另一回事。",
        "那就{plan}吧，不过得叫上{role}一起。",
        "等等，{thing}{trouble}？我怎么一点都不知道。",
        "我姐姐当年也想{plan}，最后一个人留在{place}。",
    ],
    situations: &[
        "一个下雨的晚上，几个人聚在{place}，因为{thing}{trouble}。{role}想{plan}，其他人都不愿意。",
        "快下班的时候，{place}里传来消息：{thing}{trouble}。必须有人{plan}，而{role}还没有回来。",
        "今天谁也没打算来{place}，可是{thing}{trouble}，没有{role}什么都办不成。",
    ],
    people: &[
        "一位常年待在{place}的{role}。",
        "一位退休的{role}，喜欢收集旧东西。",
        "一位年轻的{role}，主意多，时间少。",
    ],
    intents: &["想要{plan}，然后早点回家。", "绝对不愿意{plan}，更不想去{place}。"],
    starters: &["{thing}{trouble}，我们是{plan}，还是有别的办法？", "在{plan}之前，谁早就知道{thing}出了问题？"],
    secrets: &["信封里的存折藏在灶台后面的砖缝里。", "遗嘱卷起来塞在二胡的琴筒里面。"],
};
