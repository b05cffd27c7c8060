//! What a person's life turns around, found by words.
//!
//! Every word of a description that stands in the lexicon votes for its domain; words before the first `who`, `that` or
//! `with` count twice, for they say what someone is rather than what they care about, and among equals the domain named
//! first wins. Entries end in `*` where any ending fits. Entries behind `|` are looked for anywhere in the text, for German
//! compounds and for Chinese, which has no spaces; the text must then be in neither English nor ASCII-only.

use std::collections::HashMap;
use std::sync::OnceLock;

/// Name, then words.
const LEXICON: &[(&str, &str)] = &[
    (
        "health",
        "physiotherap* optician* orthodont* paediatric* infirmi* enfermer* médic* \
      doctor nurse* physician* medic medical medicine surgeon* dentist* dental pharmac* therap* patient* hospital* \
      clinic* health* healthcare psycholog* psychiatr* caregiver* midwife paramedic* oncolog* cardiolog* pediatric* \
      epidemiolog* nutrition* dietit* wellness disease* disorder* cancer diabetes surgery illness autism disability \
      veterinary radiolog* neurosurg* hypertension yoga | krankensch pfleger ärzt arzt apothek gesundheit hebamme \
      医生 护士 医院 患者 医疗 健康 心理 药 pfleg medizin krankenhaus медсестр врач 의사 طبيب مستشفى 병원",
    ),
    (
        "education",
        "maestr* profesor* leraar öğretmen* instituteur \
      teacher* professor* student* school* educat* tutor* lecturer* principal* curricul* college* universit* \
      campus pupil* classroom* academic* academia librarian* librar* pedagog* kindergarten freshman sophomore \
      undergraduate* phd graduate* | lehrer schüler student dozent erzieher 老师 教师 教授 学生 大学 学校 教育 校长 учител студент 선생 학생 先生 معلم",
    ),
    (
        "law",
        "security guard* \
      abogad* avvocat* avocat* bailiff* notar* warden* \
      lawyer* attorney* judge* legal law paralegal* court* courtroom litigat* prosecutor* justice crim* police detective* \
      prison* solicitor* barrister* forensic* investigator* sheriff divorce patent inmate probation | anwalt anwält richter \
      polizist jurist 律师 法官 警察 法律 адвокат",
    ),
    (
        "farming",
        "goat* herder* shepherd* sheep olive* granjer* honey \
      farm* agricult* crop* rancher* dairy livestock cattle harvest* orchard* grower* vineyard* tractor soil \
      irrigation beekeep* gardener* gardening horticult* | bauer bäuerin landwirt gärtner winzer 农民 农业 种植 农村 garten",
    ),
    (
        "arts",
        "puppet* juggl* acrobat* clown* costume* acteur* teatro théâtre \
      artist* painter* sculptor* art arts gallery designer* design fashion photograph* dancer* dance* ballet* theater \
      theatre* actor actress actors playwright* choreograph* curator* museum* illustrat* architect architects architecture \
      muralist* cosplay* craftsmanship aesthetic* stylist* makeup | künstler maler schauspiel tänzer fotograf \
      艺术 画家 演员 设计师 舞蹈 摄影",
    ),
    (
        "music",
        "accordion* fado kora flut* organist* samba tenor soprano tuner lute trumpet* \
      music* singer* songwriter* guitarist* pianist* violin* drummer* composer* conductor orchestra* band bands choir* \
      concert* album* dj hip-hop jazz opera k-pop rapper* rap rock vinyl melod* cellist* | musik sänger komponist \
      音乐 歌手 乐队 钢琴",
    ),
    (
        "sport",
        "goalkeeper* midfielder* striker* judo karate archer* fencer* rower* capoeira fútbol futebol \
      sport* athlet* coach* football* soccer basketball baseball hockey tennis cricket* rugby runner* marathon* swimmer* \
      cyclist* cycling boxer* boxing golf* gym fitness olymp* referee* player players team teammate* skat* skier* skiing \
      wrestl* gymnast* league championship* racing swim* surf* polo climber* mountaineer* volleyball | fußball sportler trainer \
      turner 体育 足球 篮球 运动员 教练 球迷",
    ),
    (
        "science",
        "seismolog* starship \
      scien* researcher* physic* chemist* biolog* astronom* geolog* laborator* lab neurosci* genetic* mathemat* \
      statistic* quantum astrophys* microbiolog* biochem* experiment* botanist* zoolog* math theorem* nanotech* \
      astronaut* space | wissenschaft forscher physiker chemiker biologe 科学 研究员 物理 化学 数学 统计",
    ),
    (
        "software",
        "software program* developer* coder* coding computer* data database* web website* app apps java* python php \
      linux cyber* hacker* it cloud devops ai algorithm* blockchain sysadmin* api javascript sql server* network* \
      tech technolog* informat* code coders ui ux robotics frontend backend windows android | informatik entwickler \
      программист разработчик 程序员 软件 开发 网络 数据 互联网",
    ),
    (
        "business",
        "receptionist* secretar* \
      cashier* salesman saleswoman saleswom* clerk* vendor* kiosk \
      business* entrepreneur* startup* ceo manager* executive* company corporate marketing market* sales* retail* \
      consultant* owner* shop* store* brand* commerce customer* client* supply logistic* hr recruit* e-commerce advertis* \
      trade merchant* wholesale* estate realtor* founder* | unternehmer kaufmann kauffrau händler verkäuf \
      企业 老板 商人 经理 创业 销售",
    ),
    (
        "food",
        "lemonade sushi noodle* cheese* spice* boulang* cociner* camarer* pub cafe café \
      chef* cook* baker* bakery restaurant* food* culinary barista* bartender* brewer* brewing wine* coffee cuisine* vegan \
      vegetarian recipe* sommelier* butcher* waiter waitress pastry chocolat* dessert* tea beer foodie* kitchen | koch köchin \
      bäcker kellner 厨师 美食 餐厅 烹饪 wirtin kneipe повар",
    ),
    (
        "religion",
        "church* priest* pastor* rabbi* imam* monk* nun nuns relig* christian* catholic* muslim* islam* buddhis* hindu* \
      jewish bible biblical theolog* faith spiritual* missionar* parish* mosque temple synagogue deacon* minister clergy \
      kabbal* quran pilgrim* philosoph* | pfarrer priester 宗教 牧师 佛教 信徒 哲学",
    ),
    (
        "politics",
        "planner* \
      councillor* councilor* candidate* mayoral \
      politic* mayor* senator* congress* governor* diplomat* policy policymaker* activist* activism government* election* \
      campaign* voter* council* parliament* democra* republican* conservative* liberal* lobbyist* minister* ambassador* \
      advocate* advocacy legislat* immigration union | politiker bürgermeister 政治 政府 官员 外交 市长",
    ),
    (
        "military",
        "military army soldier* wwii veterans navy marine* sergeant* colonel* knight* centurion* war wars combat captain* \
      defense troop* sniper* militia* cadet* | soldat 军人 士兵 军队 退伍",
    ),
    (
        "family",
        "grandchild* grandson* granddaughter* au-pair \
      mother* father* mom mum dad parent* grandmother* grandfather* grandma grandpa grandparent* wife husband son sons \
      daughter* child children baby babies toddler* family families sister* brother* sibling* newlywed* housewife \
      homemaker* stay-at-home married marriage wedding* nanny babysit* aunt uncle cousin* niece nephew widow* | \
      mutter vater eltern großmutter großvater 妈妈 爸爸 母亲 父亲 家庭 孩子 退休",
    ),
    (
        "travel",
        "pilot* ferry ferryman tram* lorry lorries truck* porter* courier* postman postwoman mail dispatcher* traffic motorista* navigator* steward* attendant* taxista* chauffeur* tram \
      travel* touris* hotel* flight* airline* airport* hik* backpack* expat* guide guides sailor* sailing cruise* \
      adventur* explorer* nomad* hostel* vacation* train trains railway* bus taxi driver* cab commut* | reise fahrer \
      旅行 旅游 导游 司机 lokführer zug водител",
    ),
    (
        "media",
        "journalis* reporter* editor* news* tv television film* movie* cinema* director* producer* broadcast* podcast* blog* \
      youtube* vlogg* influencer* documentary radio critic* anime screenwrit* streaming star comedian* comic* \
      comedy celebrit* hollywood columnist* | journalist regisseur 记者 电影 导演 影评 媒体 博主 电视",
    ),
    (
        "trades",
        "embroider* beadwork* loom* wool yarn tanner* thatcher* foundry \
      locksmith* clockmaker* watchmaker* roofer* weav* glazier* upholster* cobbler* shoemaker* costur* electricista* foreman crane forklift sweeper* luthier* maker* sauna kite \
      carpenter* plumber* electrician* mechanic* welder* mason* tailor* seamstress* craft* woodwork* knit* sew* quilt* \
      pottery blacksmith* jewel* hairdress* barber* cleaner* janitor* construction builder* repair* handyman \
      contractor* technician* restorer* diy factory renovation* | schreiner tischler elektriker handwerk mechaniker friseur \
      工人 木匠 维修 手工 schreiner слесар чинит",
    ),
    (
        "engineering",
        "engineer* mechanical electrical aerospace robot* manufactur* industrial hardware automotive circuit* aviation \
      aircraft* drone* infrastructure energy solar nuclear mining oil petroleum structural hvac | ingenieur techniker \
      工程师 工程 机械 制造",
    ),
    (
        "history",
        "biograph* \
      histor* archaeolog* archiv* genealog* antique* medieval heritage ancient anthropolog* victorian folklor* \
      | historiker archäolog archivar 历史 歷史 考古 文物",
    ),
    (
        "environment",
        "cartograph* glacier* \
      environment* climate conservation* ecolog* sustainab* renewable recycl* forest* wildlife ocean* park nature \
      biodivers* geograph* meteorolog* weather pollution green river rivers arctic | umwelt klima förster \
      环保 环境 气候 生态",
    ),
    (
        "games",
        "crossword* \
      game* gaming gamer* esport* chess puzzle* poker board-game* rpg lego minecraft toy toys collector* collectible* \
      gambl* hobbyist* magician* | spieler 游戏 电竞 玩家 棋",
    ),
    (
        "finance",
        "debt* pension* \
      financ* bank* accountant* accounting invest* econom* tax* insurance trader* stock* wealth budget* mortgage* audit* \
      fund funds actuar* bookkeep* crypto* bitcoin loan* | buchhalter finanz 金融 银行 会计 投资 经济 股票 财政 銀行",
    ),
    (
        "animals",
        "pescator* pescador* pêcheur* \
      animal* dog dogs cat cats pet pets veterinarian* horse* equestrian* bird birds birdwatch* zoo zookeeper* aquarium* \
      breeder* rescue puppy kitten fish fishing fisher* bee bees reptile* insect* entomolog* | tierarzt tierärzt 动物 宠物 兽医",
    ),
    (
        "language",
        "biographer* \
      linguist* translator* interpreter* language* poet* poetry novel* novelist* writer* author* literature literary \
      book* reader publisher* copywriter* bilingual english writing storytell* screenwriter* lexicograph* bookstore* | \
      schriftsteller autor dichter übersetz 作家 诗人 文学 翻译 小说 语言 書店",
    ),
    (
        "community",
        "organiser* organizer* \
      volunteer* charit* nonprofit non-profit ngo humanitarian community neighbor* neighbour* resident* \
      refugee* homeless lgbt* feminist* immigrant* firefighter* emergency scout* tenant* landlord* | sozialarbeit \
      feuerwehr nachbar 志愿者 社区 居民 邻居",
    ),
];

/// Domains whose people have to do with each other, each pair once.
const ADJACENT: &[(&str, &str)] = &[
    ("health", "science"),
    ("health", "family"),
    ("health", "sport"),
    ("health", "community"),
    ("health", "education"),
    ("education", "science"),
    ("education", "family"),
    ("education", "language"),
    ("education", "arts"),
    ("education", "sport"),
    ("law", "politics"),
    ("law", "business"),
    ("law", "community"),
    ("law", "finance"),
    ("farming", "food"),
    ("farming", "environment"),
    ("farming", "animals"),
    ("farming", "community"),
    ("arts", "music"),
    ("arts", "history"),
    ("arts", "media"),
    ("arts", "trades"),
    ("music", "media"),
    ("music", "religion"),
    ("sport", "media"),
    ("sport", "games"),
    ("science", "engineering"),
    ("science", "environment"),
    ("science", "software"),
    ("software", "engineering"),
    ("software", "games"),
    ("software", "business"),
    ("business", "finance"),
    ("business", "food"),
    ("business", "trades"),
    ("business", "travel"),
    ("food", "travel"),
    ("food", "family"),
    ("religion", "history"),
    ("religion", "family"),
    ("religion", "community"),
    ("politics", "media"),
    ("politics", "military"),
    ("politics", "environment"),
    ("politics", "finance"),
    ("politics", "community"),
    ("military", "history"),
    ("military", "engineering"),
    ("military", "family"),
    ("family", "animals"),
    ("family", "games"),
    ("travel", "language"),
    ("travel", "history"),
    ("travel", "environment"),
    ("media", "language"),
    ("media", "games"),
    ("trades", "engineering"),
    ("trades", "family"),
    ("history", "language"),
    ("environment", "animals"),
    ("community", "animals"),
    ("language", "arts"),
];

/// The domain of a description, from its words.
pub(in crate::stages::situations) fn of_text(text: &str) -> Option<&'static str> {
    let folded = text.to_lowercase();
    let mut votes = [Vote::default(); LEXICON.len()];
    let mut weight = 2;
    for (at, word) in
        folded.split(|c: char| !c.is_alphanumeric() && c != '-').filter(|word| !word.is_empty()).enumerate()
    {
        if matches!(word, "who" | "that" | "which" | "with" | "der" | "die" | "das") && at > 1 {
            weight = 1;
        }
        if let Some(vote) = lexicon().of_word(word).and_then(|domain| votes.get_mut(domain)) {
            vote.add(weight, at);
        }
    }
    if !folded.is_ascii() || reads_german(&folded) {
        for (stem, domain) in &lexicon().anywhere {
            if let (Some(at), Some(vote)) = (folded.find(stem), votes.get_mut(*domain)) {
                vote.add(2, at);
            }
        }
    }
    let best = votes.iter().enumerate().filter(|(_, vote)| vote.weight > 0).min_by_key(|(_, vote)| vote.rank());
    best.and_then(|(domain, _)| LEXICON.get(domain)).map(|(name, _)| *name)
}

/// Whether plain letters may be German: its articles, as words of their own.
fn reads_german(folded: &str) -> bool {
    let starts = ["ein ", "eine ", "ich bin ", "der "].iter().any(|start| folded.starts_with(start));
    starts || [" der ", " einer ", " eine ", " und ", " auf "].iter().any(|word| folded.contains(word))
}

/// The domains next to `domain`; none for one that the lexicon does not know.
pub(super) fn adjacent(domain: &str) -> impl Iterator<Item = &'static str> {
    let other = move |(one, two): &(&'static str, &'static str)| match () {
        () if *one == domain => Some(*two),
        () if *two == domain => Some(*one),
        () => None,
    };
    ADJACENT.iter().filter_map(other)
}

#[derive(Debug, Clone, Copy, Default)]
struct Vote {
    weight: u32,
    first: usize,
}

impl Vote {
    fn add(&mut self, weight: u32, at: usize) {
        self.first = if self.weight == 0 { at } else { self.first.min(at) };
        self.weight += weight;
    }

    /// Smallest for the heaviest, then the earliest.
    fn rank(&self) -> (u32, usize) {
        (u32::MAX - self.weight, self.first)
    }
}

struct Lexicon {
    whole: HashMap<&'static str, usize>,
    starts: HashMap<&'static str, usize>,
    anywhere: Vec<(&'static str, usize)>,
}

fn lexicon() -> &'static Lexicon {
    static PARSED: OnceLock<Lexicon> = OnceLock::new();
    PARSED.get_or_init(|| Lexicon::parse(LEXICON))
}

impl Lexicon {
    fn parse(table: &'static [(&'static str, &'static str)]) -> Self {
        let mut parsed = Self { whole: HashMap::new(), starts: HashMap::new(), anywhere: Vec::new() };
        for (domain, (_, entries)) in table.iter().enumerate() {
            let (words, stems) = entries.split_once('|').unwrap_or((entries, ""));
            for word in words.split_whitespace() {
                match word.strip_suffix('*') {
                    Some(start) => parsed.starts.entry(start).or_insert(domain),
                    None => parsed.whole.entry(word).or_insert(domain),
                };
            }
            parsed.anywhere.extend(stems.split_whitespace().map(|stem| (stem, domain)));
        }
        parsed
    }

    /// The whole word first, then its longest known start.
    fn of_word(&self, word: &str) -> Option<usize> {
        let starts = || word.char_indices().rev().map(|(at, c)| at + c.len_utf8()).filter_map(|end| word.get(..end));
        self.whole.get(word).or_else(|| starts().find_map(|start| self.starts.get(start))).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_tell_the_domain() {
        let cases = [
            ("A clinical psychologist specializing in therapy", Some("health")),
            ("A high school teacher who loves football", Some("education")),
            ("A young farmer from another state who seeks advice on rotational grazing", Some("farming")),
            ("a die-hard fan of Deportivo Lara football club", Some("sport")),
            ("A novelist with an interest in history and a love for dogs", Some("language")),
            ("Eine Krankenschwester, die nachts arbeitet", Some("health")),
            ("Ein Grundschullehrer aus Bremen", Some("education")),
            ("一位对国际政治持怀疑态度的博主", Some("politics")),
            ("香港电影忠实粉丝", Some("media")),
            ("A logical and skeptical individual", None),
            ("", None),
        ];
        for (text, domain) in cases {
            assert_eq!(of_text(text), domain, "{text}");
        }
    }

    #[test]
    fn the_tables_agree_with_each_other() {
        let known = |name: &str| LEXICON.iter().any(|(domain, _)| *domain == name);
        for (one, two) in ADJACENT {
            assert!(known(one) && known(two) && one != two, "{one}, {two}");
            assert_eq!(adjacent(one).filter(|other| other == two).count(), 1, "{one}, {two}");
            assert_eq!(adjacent(two).filter(|other| other == one).count(), 1, "{one}, {two}");
        }
        for (domain, _) in LEXICON {
            assert!(adjacent(domain).count() >= 2, "{domain}");
        }
        assert_eq!(adjacent("apiculture").count(), 0);
    }
}
