"""Common English words, most of them one token each in the vocabularies of today's models."""

from __future__ import annotations

_TEXT = """
able about above across action active actual address after again against age agree air all allow almost alone
along already also always among amount anger animal answer any appear apple area arm army around arrive art ask
attack attempt author autumn away baby back bad bag balance ball bank base basic battle beach bear beat beauty
because become bed before begin behind believe below benefit best better between beyond big bird birth black
blood blue board boat body bone book border both bottom box boy brain branch bread break bridge brief bright
bring broad brother brown build burn business busy buy call calm camera camp capital captain car card care carry
case cat catch cause cell center century certain chain chair chance change chapter charge check child choice
choose church circle city claim class clean clear climb clock close cloth cloud coach coast coffee cold collect
color column come common company compare complete concern condition connect consider contact contain content
control cook cool copy corner correct cost cotton count country couple course court cover create cross crowd cry
culture cup current custom cut daily damage dance danger dark data date daughter day deal death decide deep
degree deliver depend describe desert design desk detail develop die differ dinner direct discuss distance
divide doctor dog door double doubt down draw dream dress drink drive drop dry during dust duty each ear early
earn earth east easy eat edge effect effort egg eight either electric else empty end enemy energy engine enjoy
enough enter equal escape even evening event ever every exact example except exercise exist expect explain
express eye face fact factor fail fair fall family famous far farm fast father favor fear feed feel field fight
figure fill film final find fine finger finish fire first fish five flat floor flow flower fly follow food foot
force foreign forest forget form forward four free fresh friend front fruit full future game garden gas gate
gather general gentle gift girl give glass goal gold good grand grass gray great green ground group grow guard
guess guide hair half hall hand happen happy harbor hard hat head health hear heart heat heavy height help hide
high hill history hit hold hole home honest hope horse hospital host hot hotel hour house human hundred hunt
hurry ice idea image imagine impact include income increase indeed industry inside interest iron island issue
item job join journey judge jump just keep key kind king kitchen know labor lack lady lake land language large
last late laugh law lay lead leaf learn least leather leave left leg lesson letter level library lie life lift
light like limit line list listen little live local lock long look lose love low luck lunch machine main major
make manage map mark market master match material matter mean measure meat meet member memory mention message
metal method middle might mile milk mind minute mirror miss mix model modern moment money month moon morning
mother motion mount mouth move much music must name narrow nation nature near neck need never new news next nice
night nine noise normal north nose note nothing notice number object ocean offer office often oil old once one
only open opinion order other outside over own page pain paint pair paper parent park part party pass past path
pattern pay peace people perfect period person phone picture piece place plain plan plant plate play please
plenty point police poor popular position possible post power practice prepare present press pretty prevent
price print prize problem process produce program promise proper protect proud prove public pull purpose push
quality quarter queen question quick quiet quite race radio rain raise range rate rather reach read ready real
reason receive record red reduce region remain remember repeat reply report rest result return rice rich ride
right ring rise river road rock role roll roof room root rope rose round row rule run safe sail salt same sand
save scale scene school science sea search season seat second secret see seed seem sell send sense separate
serious serve set seven shade shape share sharp sheep sheet shell ship shirt shoe shop short shoulder show side
sight sign silver similar simple since sing single sister sit six size skill skin sky sleep slow small smell
smile smoke smooth snow soap soft soil soldier solid some song soon sort sound south space speak special speed
spell spend spirit spoon spot spread spring square stage stand star start state station stay steel step stick
still stone stop store storm story straight strange stream street strong student study style subject sugar
summer sun supply support sure surface sweet swim table tail take talk tall taste teach team tell ten term test
thank theory thick thin thing think third thousand three through ticket time title today together tomorrow tone
tool top total touch toward town track trade train travel tree trip true trust truth try turn twelve twenty two
type uncle under unit until upon use usual valley value very view village visit voice wait walk wall want warm
wash watch water wave way wear weather week weight west wheel while white whole wide wife wild win wind window
winter wire wise wish within without woman wonder wood word work world worth write wrong yard year yellow young
"""

WORDS: tuple[str, ...] = tuple(_TEXT.split())
