//! Function words and letters by which languages in Latin script are told apart.

/// A language written in Latin letters.
pub(super) struct Latin {
    /// Primary subtag of BCP 47.
    pub(super) tag: &'static str,
    /// Its most frequent words in talk. Some stand in several lists; what counts is which list has most of a line.
    pub(super) words: &'static str,
    /// Letters that few others use.
    pub(super) letters: &'static str,
}

/// The languages that are told apart.
pub(super) const LATIN: &[Latin] = &[
    Latin {
        tag: "en",
        words: "the and to of a in that it is you i was for on with he she we they have be are not this but at from my your \
            what there if so all no yes do don't it's i'm that's can will would just know about get me him her them their as \
            or who how when where why then than been did had has could should one out up now here well right think want \
            because some any an by go going come were isn't can't didn't you're we're let's",
        letters: "",
    },
    Latin {
        tag: "de",
        words: "der die das und ist nicht ich du er sie es wir ihr ein eine einen einem einer zu den dem des mit auf für von im \
            in an auch so dass sich aber wenn wie was da nur noch schon mal ja nein doch hat habe haben hast sind war wird \
            kann muss soll will mir mich dir dich uns euch aus bei nach vor über um oder als man hier dann also denn mehr \
            wieder immer jetzt heute morgen kein keine mein meine dein deine gibt geht zum zur am lieber ob weil etwas",
        letters: "äöüß",
    },
    Latin {
        tag: "fr",
        words: "le la les un une des du de et est pas je tu il elle on nous vous ils elles ne que qui ce ça c'est dans pour sur \
            avec sans mais ou où si plus au aux en y à son sa ses mon ma mes ton ta tes leur notre votre suis es sont était \
            ai as a avons avez ont fait faire va vais bien tout tous alors très peut être comme quand parce quoi oui non moi \
            toi lui j'ai n'est qu'il d'un d'une l'on",
        letters: "éèêëàâçùûœîïô",
    },
    Latin {
        tag: "es",
        words: "el la los las un una unos de del y es no que en se lo le les me te nos por para con sin pero o si su sus mi mis \
            tu tus yo él ella nosotros ellos este esta esto ese esa eso muy más ya hay está están estoy son era fue ser \
            tiene tengo hacer hace va voy vamos como cuando donde porque qué quién bien todo todos también sí aquí ahora \
            algo nada así siempre creo puede hasta al deberíamos",
        letters: "ñ¿¡áíóú",
    },
    Latin {
        tag: "pt",
        words: "o a os as um uma de do da dos das e é não que em no na nos nas se por para com sem mas ou eu tu você ele ela nós \
            eles isso isto esse essa este esta meu minha seu sua muito mais já há está estão estou são era foi ser tem tenho \
            fazer faz vai vou vamos como quando onde porque quê quem bem tudo todos também sim aqui agora algo nada assim \
            sempre acho pode até ao à então ainda me te lhe gente",
        letters: "ãõâêçáíóú",
    },
    Latin {
        tag: "it",
        words: "il lo la i gli le un uno una di del della dei delle e è non che in nel nella si se per con senza ma o io tu lui \
            lei noi voi loro mi ti ci vi questo questa quello quella mio mia tuo sua suo molto più già c'è sono sei siamo \
            era stato essere ha ho hai abbiamo hanno fare fa va vado come quando dove perché cosa chi bene tutto tutti anche \
            sì qui ora qualcosa niente così sempre credo può fino al alla allora ancora poi quindi",
        letters: "èìòù",
    },
    Latin {
        tag: "nl",
        words: "de het een en is niet ik je jij hij zij ze we wij jullie u van in op te dat die dit met voor aan er om als maar \
            of ook nog wel naar bij uit dan zo wat wie waar hoe waarom kan kun moet wil zal zou heb hebt heeft hebben ben \
            bent zijn was waren wordt mijn jouw zijn haar ons onze hun mij me jou hem geen meer al toch even hier daar nu \
            over door tot iets niets altijd dus beter gaan gaat doen weet",
        letters: "",
    },
    Latin {
        tag: "pl",
        words: "i w z na do nie to się że jest jak co ale czy ja ty on ona my wy oni go mu mi ci jej ich nas was mnie ciebie o od \
            po za przez przy dla bez tak tylko już jeszcze może być był była było są mam masz ma mamy tu tam ten ta te tego \
            tej kto kiedy gdzie bo więc też bardzo wszystko nic coś zawsze teraz dzisiaj jutro proszę wiem trzeba",
        letters: "ąćęłńśźż",
    },
    Latin {
        tag: "tr",
        words: "ve bir bu şu o da de mi mı mu mü ne için ile ama çok daha ben sen biz siz onlar bana sana bize beni seni onu var \
            yok değil gibi kadar sonra önce şimdi burada orada nasıl neden niye kim hangi her hiç bence evet hayır tamam \
            olarak olur olsun oldu olan ki ya hem şey zaman gün iyi en artık belki sadece",
        letters: "ğışçöü",
    },
];
